//! Headers of an archive that we write: plain ustar, and GNU's form for sizes beyond 8 GiB.
//!
//! VMware's own tools read both, and no PAX headers (vSphere spec 5.1). Pure: it makes blocks, and
//! whoever writes them knows where. Surprising: a header may be written before its size is known and
//! be made once more, so its length never depends on the size.

use crate::error::{Error, Result, quoted};
use crate::ova::header::BLOCK;

/// The largest size in eleven octal digits.
const OCTAL: u64 = 0o77_777_777_777;

/// The two empty blocks of an archive's end.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// The header of a file; `modified` in seconds since 1970.
pub fn header(name: &str, size: u64, modified: u64) -> Result<[u8; BLOCK]> {
    if name.is_empty() || name.len() > 100 || name.contains('\0') {
        return Err(Error::usage(format!("`{}` is too long a name for an OVA", quoted(name)))
            .hint("At most 100 bytes"));
    }
    let mut block = [0; BLOCK];
    put(&mut block, 0, name.as_bytes());
    put(&mut block, 100, b"0000644\0");
    put(&mut block, 108, b"0000000\0");
    put(&mut block, 116, b"0000000\0");
    if size <= OCTAL {
        put(&mut block, 124, format!("{size:011o}\0").as_bytes());
        put(&mut block, 257, b"ustar\x0000");
    } else {
        block[124] = 0x80;
        put(&mut block, 128, &size.to_be_bytes());
        put(&mut block, 257, b"ustar  \0");
    }
    put(&mut block, 136, format!("{:011o}\0", modified.min(OCTAL)).as_bytes());
    put(&mut block, 148, b"        ");
    block[156] = b'0';
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    put(&mut block, 148, format!("{sum:06o}\0 ").as_bytes());
    Ok(block)
}

fn put(block: &mut [u8; BLOCK], at: usize, bytes: &[u8]) {
    if let Some(place) = block.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ova::header::{Headers, Member, Step};

    #[test]
    fn what_is_written_is_read_whatever_its_size() {
        for size in [0, 1, OCTAL, OCTAL + 1, 40 << 40] {
            let block = header("disk-0.vmdk", size, 1_790_000_000).unwrap();
            let member = Member { name: "disk-0.vmdk".to_owned(), size };
            assert_eq!(Headers::default().block(&block).unwrap(), Step::File(member));
        }
        assert!(header(&"x".repeat(101), 0, 0).is_err());
    }
}
