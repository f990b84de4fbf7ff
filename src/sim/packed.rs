//! The inventory files as `build.rs` packs them: a name, a zero byte, the text, a zero byte, and so
//! on, all deflated together to a sixth.
//!
//! Surprising: all of them are unpacked when the first is asked for, and kept (90 KB).

use std::io::Read;
use std::sync::OnceLock;

static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/inventory.packed"));

/// A file of `src/sim/inventory` by its name.
pub fn file(name: &str) -> &'static str {
    static ALL: OnceLock<String> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let mut bytes = Vec::new();
        let read = flate2::read::DeflateDecoder::new(PACKED).read_to_end(&mut bytes);
        debug_assert!(read.is_ok(), "the build packs what is unpacked here");
        String::from_utf8(bytes).unwrap_or_default()
    });
    let mut parts = all.split('\0');
    parts.find(|it| *it == name).and_then(|_| parts.next()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_there() {
        for name in ["counters.txt", "esxi.xml", "host.xml", "machine.xml", "vcenter.xml"] {
            assert!(file(name).len() > 1000, "{name}");
        }
        assert_eq!((file(""), file("nothing.xml")), ("", ""));
    }
}
