//! Makes of the schema's table what deflates better; `src/vim/unpack.rs` undoes it.

/// All first bytes of rows of this width, all second ones, and so on; of the columns whose bit is
/// set in `steps`, what is to be added to the byte in the row before.
pub fn by_column(rows: &[u8], width: usize, steps: u16) -> Vec<u8> {
    let mut all = Vec::with_capacity(rows.len());
    for column in 0..width {
        let mut before = 0_u8;
        for byte in rows.iter().skip(column).step_by(width) {
            all.push(if steps >> column & 1 == 1 { byte.wrapping_sub(before) } else { *byte });
            before = *byte;
        }
    }
    all
}

/// How many bytes of each sorted name are those of the one before it, 255 at most, then the rest of
/// each, its last byte marked by its highest bit. Names are ASCII; where no rest is, the mark stands
/// alone.
pub fn names<'a>(all: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let (mut shared, mut rest, mut before) = (Vec::new(), Vec::new(), "");
    for name in all {
        let same = name.bytes().zip(before.bytes()).take_while(|(a, b)| a == b).take(255).count();
        shared.push(same as u8);
        rest.extend(name.bytes().skip(same));
        match rest.last_mut() {
            Some(last) if same < name.len() => *last |= 0x80,
            _ => rest.push(0x80),
        }
        before = name;
    }
    [shared, rest].concat()
}
