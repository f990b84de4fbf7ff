//! Reads the simulated host's inventory, to be packed.
//!
//! It knows nothing of what the files say; `src/sim/packed.rs` takes them apart again.

use std::path::Path;
use std::{fs, io};

/// Name, zero byte, text, zero byte of each file.
pub fn read(folder: &Path) -> io::Result<Vec<u8>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    // A directory has no order of its own, and a build is to be repeatable.
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        let text = fs::read(&path)?;
        all.extend([name, &text].into_iter().flat_map(|it| it.iter().chain(&[0])));
    }
    Ok(all)
}
