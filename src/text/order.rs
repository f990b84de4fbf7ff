//! Sorting, in one place: each sort of another type would be code of its own (5 KB).

use std::cmp::Ordering;

/// The items in this order; equal ones keep their order.
pub fn by<T>(items: Vec<T>, order: &dyn Fn(&T, &T) -> Ordering) -> Vec<T> {
    if items.is_sorted_by(|a, b| order(a, b).is_le()) {
        return items;
    }
    let places = places(items.len(), &|a, b| order(&items[a], &items[b]));
    let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
    places.into_iter().filter_map(|at| items.get_mut(at)?.take()).collect()
}

/// The items in the order of their keys; equal keys keep their order.
pub fn by_key<T>(items: Vec<T>, key: impl Fn(&T) -> String) -> Vec<T> {
    let keys: Vec<String> = items.iter().map(key).collect();
    let places = places(items.len(), &|a, b| keys[a].cmp(&keys[b]));
    let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
    places.into_iter().filter_map(|at| items.get_mut(at)?.take()).collect()
}

/// The items in the order of a number; equal ones keep their order.
pub fn by_number<T>(items: Vec<T>, number: &dyn Fn(&T) -> i64) -> Vec<T> {
    by(items, &|a, b| number(a).cmp(&number(b)))
}

/// The texts in order, each once.
pub fn unique(texts: Vec<String>) -> Vec<String> {
    let mut texts = by(texts, &String::cmp);
    texts.dedup();
    texts
}

fn places(count: usize, order: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut all: Vec<usize> = (0..count).collect();
    all.sort_unstable_by(|a, b| order(*a, *b).then(a.cmp(b)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_keys_keep_their_order() {
        let items = vec![("b", 1), ("a", 2), ("b", 0)];
        assert_eq!(by_key(items.clone(), |it| it.0.to_owned()), [("a", 2), ("b", 1), ("b", 0)]);
        assert_eq!(by(items.clone(), &|a, b| a.0.cmp(b.0)), [("a", 2), ("b", 1), ("b", 0)]);
        assert_eq!(by_number(items, &|it| it.1), [("b", 0), ("b", 1), ("a", 2)]);
        assert_eq!(unique(["b", "a", "b"].map(str::to_owned).to_vec()), ["a", "b"]);
    }
}
