//! Sorting by a text key, in one place: each sort of another type would be code of its own (5 KB).

/// The items in the order of their keys; equal keys keep their order.
pub fn by_key<T>(items: Vec<T>, key: impl Fn(&T) -> String) -> Vec<T> {
    let keys = items.iter().map(key).enumerate().map(|(at, key)| (key, at)).collect();
    let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
    sorted(keys).into_iter().filter_map(|at| items.get_mut(at)?.take()).collect()
}

fn sorted(mut keys: Vec<(String, usize)>) -> Vec<usize> {
    keys.sort_unstable();
    keys.into_iter().map(|(_, at)| at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_keys_keep_their_order() {
        let items = vec![("b", 1), ("a", 2), ("b", 0)];
        assert_eq!(by_key(items, |it| it.0.to_owned()), [("a", 2), ("b", 1), ("b", 0)]);
    }
}
