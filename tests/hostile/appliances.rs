//! What is done to archives, descriptors and manifests of hostile vendors; `tests/fuzz` does it too.

use std::io::Read;

use jumpvisor::ova::manifest::{Checker, Manifest};
use jumpvisor::ova::ovf::Descriptor;
use jumpvisor::ova::tar::Tar;
use jumpvisor::web::exchange::from_io;

/// An archive, read in pieces and as a whole alike, with all that may stand in one.
pub fn archive(bytes: &[u8]) {
    let read = |pieces: usize| {
        let mut tar = Tar::new(Pieces { bytes, pieces });
        let mut found = Vec::new();
        let ended = loop {
            match tar.advance() {
                Ok(Some(member)) => {
                    let mut data = Vec::new();
                    let read = (&mut tar).take(1 << 20).read_to_end(&mut data);
                    assert!(data.len() as u64 <= member.size, "more than its size");
                    found.push((member, data));
                    if let Err(error) = read {
                        break from_io(error).to_string();
                    }
                }
                Ok(None) => break String::new(),
                Err(error) => break error.to_string(),
            }
        };
        assert!(tar.position() <= bytes.len() as u64);
        (found, ended)
    };
    let whole = read(usize::MAX);
    assert!(whole == read(7), "in pieces it is another archive");
    for (_, data) in &whole.0 {
        descriptor(data);
        manifest(data);
    }
}

/// An OVF descriptor.
pub fn descriptor(bytes: &[u8]) {
    if let Ok(found) = Descriptor::parse(bytes) {
        for property in &found.properties {
            property.default_in(found.default_option().map(|it| it.id.as_str()));
        }
    }
}

/// A manifest, and the same once it was written.
pub fn manifest(bytes: &[u8]) {
    if let Ok(manifest) = Manifest::parse(bytes) {
        let again = Manifest::parse(manifest.write().as_bytes());
        assert!(again.is_ok_and(|it| it.entries.len() == manifest.entries.len()));
        let _ = Checker::default().learn(manifest);
    }
}

/// A reader that gives so many bytes at once.
struct Pieces<'a> {
    bytes: &'a [u8],
    pieces: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let most = into.len().min(self.pieces);
        self.bytes.read(&mut into[..most])
    }
}
