//! `jumpvisor key`: a new key for a machine or a person, and its line of `API_KEYS_FILE`.
//!
//! Surprising: the key itself is shown once and kept nowhere; the line holds its digest alone. It goes
//! to standard output and the key to standard error, so that `>> keys` keeps what belongs there.

use argh::FromArgs;

use crate::auth::keys;
use crate::cli::print;
use crate::error::Result;

/// Make a key for API_KEYS_FILE: jumpvisor key backup vsphere-readers >> /etc/jumpvisor/keys
#[derive(FromArgs)]
#[argh(subcommand, name = "key")]
pub struct KeyCommand {
    /// whose key it is, as the audit log names him
    #[argh(positional)]
    name: String,
    /// his groups
    #[argh(positional, arg_name = "group")]
    groups: Vec<String>,
}

/// Prints the line, and the key beside it.
pub fn run(command: &KeyCommand) -> Result<u8> {
    let groups: Vec<&str> = command.groups.iter().map(String::as_str).collect();
    let (key, line) = keys::new(&command.name, &groups)?;
    print::note(&format!("The key, which is shown only here: {}", key.reveal()));
    print::line(&line)
}
