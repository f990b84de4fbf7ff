//! Words about numbers.

/// `1 disk`, `2 disks`: a count with its word.
pub fn counted(count: usize, word: &str) -> String {
    match count {
        1 => format!("1 {word}"),
        _ => format!("{count} {word}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!((counted(0, "disk"), counted(1, "disk")), ("0 disks".into(), "1 disk".into()));
    }
}
