//! The first bytes of a disk: whether a host takes them over a lease.
//!
//! Only compressed grains with markers between them can be written while they come in. Surprising:
//! all other disks end in `.vmdk` too, and a host answers them with a bare 500 after some megabytes.

/// Bytes that tell.
pub const LOOKED_AT: usize = 512;

/// Why these are not the first bytes of such a disk; none where they are.
pub fn wrong(head: &[u8]) -> Option<&'static str> {
    let number = |at: usize| {
        let bytes = head.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    for (start, what) in STARTS {
        if head.starts_with(start) {
            return Some(what);
        }
    }
    if !head.starts_with(b"KDMV") {
        return Some("no VMDK that can be streamed");
    }
    const COMPRESSED: u32 = 1 << 16;
    const MARKERS: u32 = 1 << 17;
    let flags = number(8).unwrap_or(0);
    match number(4) {
        _ if head.len() < LOOKED_AT => Some("cut off within its first sector"),
        Some(1..=3) if flags & COMPRESSED == 0 || flags & MARKERS == 0 => {
            Some("a sparse VMDK that is not stream-optimized")
        }
        Some(1..=3) => None,
        _ => Some("a VMDK of an unknown version"),
    }
}

/// How other things begin.
const STARTS: &[(&[u8], &str)] = &[
    (b"# Disk DescriptorFile", "the descriptor of a VMDK whose data is in other files"),
    (b"COWD", "a VMDK of an old server"),
    (b"\x1f\x8b", "compressed with gzip, and the descriptor does not say so"),
    (b"BZh", "compressed with bzip2"),
    (b"QFI\xfb", "a disk of QEMU (qcow2)"),
    (b"conectix", "a disk of Hyper-V (VHD)"),
    (b"vhdxfile", "a disk of Hyper-V (VHDX)"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn head(version: u32, flags: u32) -> Vec<u8> {
        let mut head = b"KDMV".to_vec();
        head.extend(version.to_le_bytes());
        head.extend(flags.to_le_bytes());
        head.resize(LOOKED_AT, 0);
        head
    }

    #[test]
    fn only_what_can_be_streamed_passes() {
        assert_eq!(wrong(&head(3, 0x3_0001)), None);
        assert_eq!(wrong(&head(1, 0x3_0000)), None);
        for (bytes, what) in [
            (head(1, 3), "not stream-optimized"),
            (head(3, 0x1_0001), "not stream-optimized"),
            (head(9, 0x3_0001), "unknown version"),
            (head(3, 0x3_0001)[..511].to_vec(), "cut off"),
            (b"KDMV".to_vec(), "cut off"),
            (vec![], "no VMDK"),
            (vec![0; 512], "no VMDK"),
            (b"# Disk DescriptorFile\nversion=1".to_vec(), "other files"),
            (b"\x1f\x8b\x08".to_vec(), "gzip"),
        ] {
            assert!(wrong(&bytes).is_some_and(|it| it.contains(what)), "{what}");
        }
    }
}
