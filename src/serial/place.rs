//! Which console is meant, and the name of its socket.
//!
//! Surprising: names of machines hold anything, so a socket's has only what a shell takes as it is.

use std::path::{Path, PathBuf};

/// Which console; stays the same through moves and reboots.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    pub server: String,
    /// The id within the server.
    pub machine: String,
    /// Its label, such as `Serial port 1`.
    pub port: String,
}

/// What is known of a console.
#[derive(Clone, Debug)]
pub struct About {
    pub place: Place,
    /// The machine's name for people.
    pub name: String,
    /// Lower-case hex digits alone: BIOS, instance.
    pub uuids: Vec<String>,
}

/// Where a console's socket is, in the folder of all.
pub fn socket_path(folder: &Path, about: &About) -> PathBuf {
    let plain = |text: &str| -> String {
        let kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        text.chars().map(|c| if kept(c) { c } else { '_' }).take(40).collect()
    };
    let place = &about.place;
    let port = match place.port.as_str() {
        "Serial port 1" => String::new(),
        other => format!("-{}", plain(other)),
    };
    folder.join(format!("{}-{}{port}.sock", plain(&place.server), plain(&about.name)))
}
