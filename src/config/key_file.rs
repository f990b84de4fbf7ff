//! The key of approval tokens, out of its file.
//!
//! Nobody makes that file for the user: a key that appears by itself would differ on each machine,
//! and whoever can read it can approve.

use std::path::Path;

use crate::config::environment::{Environment, Unread};
use crate::config::problem::Problems;
use crate::config::sources::Settings;
use crate::text::hex::hex;
use crate::text::secret::Secret;

/// Fewest bytes of a key.
const LEAST: usize = 32;
/// Most bytes of a key; the words of [`Environment::read`] say so.
const MOST: usize = 64 << 10;

/// The key, in hex so that it may be any bytes.
pub fn read(
    settings: &Settings,
    environment: &Environment,
    problems: &mut Problems,
) -> Option<Secret> {
    let entry = settings.winner("APPROVAL_KEY_FILE")?;
    let path = Path::new(entry.value.reveal().trim());
    let fault = match environment.read_private(path, MOST).map_err(Unread::words) {
        Ok(bytes) if bytes.len() >= LEAST => return Some(Secret::new(hex(&bytes))),
        Ok(bytes) => format!("has {} bytes, fewer than {LEAST}", bytes.len()),
        Err(fault) => fault.to_owned(),
    };
    let said = format!(
        "the file {fault}; make one with (umask 077; head -c 32 /dev/urandom > FILE), and copy it to \
         all instances"
    );
    problems.add(settings.problem(entry, said));
    None
}
