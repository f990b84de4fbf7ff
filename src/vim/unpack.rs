//! What `build/shorten.rs` has made of the schema's table so that it deflates better, undone.
//!
//! It knows no section and no name. Surprising: it refuses nothing; what does not fit comes out short,
//! for the build alone writes what is read here.

/// Rows again of what stands column by column; `steps` as in `build.rs`.
pub(crate) fn by_row(section: Option<&mut [u8]>, width: usize, steps: u16) {
    let Some(rows) = section else { return };
    let columns = rows.to_vec();
    for (column, bytes) in columns.chunks_exact((rows.len() / width).max(1)).enumerate() {
        let mut before = 0_u8;
        for (byte, place) in bytes.iter().zip(rows.iter_mut().skip(column).step_by(width)) {
            let added = if steps >> column & 1 == 1 { before } else { 0 };
            before = byte.wrapping_add(added);
            *place = before;
        }
    }
}

/// So many names in full, and where each begins: how much each shares with the one before it comes
/// first, then the rest of each, which ends with a byte that is marked.
pub(crate) fn names(count: usize, packed: &[u8]) -> (Vec<u8>, Vec<u32>) {
    let (shared, rest) = packed.split_at(count.min(packed.len()));
    let (mut names, mut starts, mut begin) = (Vec::with_capacity(packed.len() * 3), vec![0], 0);
    let own = rest.split_inclusive(|it| *it > 0x7f);
    for (shared, own) in shared.iter().zip(own) {
        let (end, same) = (names.len(), usize::from(*shared).min(names.len() - begin));
        names.extend_from_within(begin..begin + same);
        names.extend(own.iter().map(|it| it & 0x7f).filter(|it| *it != 0));
        starts.push(names.len() as u32);
        begin = end;
    }
    (names, starts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_names_come_back() {
        let mut columns = [1, 1, 1, 7, 8, 9];
        by_row(Some(&mut columns), 2, 0b01);
        assert_eq!(columns, [1, 7, 2, 8, 3, 9]);
        let (all, starts) = names(4, b"\0\0\x02\0\x80a\xe2\xe3\xe4");
        assert_eq!((&all[..], &starts[..]), (&b"ababcd"[..], &[0, 0, 2, 5, 6][..]));
    }

    #[test]
    fn what_is_cut_short_does_no_harm() {
        by_row(None, 2, 0);
        by_row(Some(&mut []), 2, 0);
        assert_eq!(names(2, b"").0, b"");
        assert_eq!(names(2, b"\x09\x09ab").0, b"ab");
    }
}
