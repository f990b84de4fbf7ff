//! systemd's journal, by its own protocol: a datagram of fields, or the descriptor of a sealed file
//! that holds them where they are too large for one.
//!
//! Surprising: nothing is connected, because the journal may start again at any time and its socket
//! is then another one under the same name.

use std::io;
use std::io::{IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix};

use crate::text::json;
use crate::text::json::Object;

/// How long a journal that takes nothing is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// What of a line can be searched for, and its field.
const FIELDS: [(&str, &str); 6] = [
    ("correlation_id", "JUMPVISOR_CORRELATION_ID"),
    ("user", "JUMPVISOR_USER"),
    ("tool", "JUMPVISOR_TOOL"),
    ("host", "JUMPVISOR_HOST"),
    ("result", "JUMPVISOR_RESULT"),
    ("event", "JUMPVISOR_EVENT"),
];

/// The journal behind a socket.
pub(crate) struct Journal {
    socket: PathBuf,
}

impl Journal {
    pub fn new(socket: PathBuf) -> Journal {
        Journal { socket }
    }

    /// Whether somebody listens.
    pub fn tried(&self) -> io::Result<()> {
        UnixDatagram::unbound()?.connect(&self.socket)
    }

    /// Sends a line with its fields.
    pub fn send(&self, line: &Object, text: &str) -> io::Result<()> {
        let entry = fields(line, text);
        let from = UnixDatagram::unbound()?;
        from.set_write_timeout(Some(PATIENCE))?;
        match from.send_to(&entry, &self.socket) {
            Ok(_) => Ok(()),
            Err(why) => match Errno::from_io_error(&why) {
                Some(Errno::MSGSIZE | Errno::NOBUFS) => self.pass(&from, &entry),
                _ => Err(why),
            },
        }
    }

    /// Hands over a file in memory, which nobody can change any more, as the journal wants it.
    fn pass(&self, from: &UnixDatagram, entry: &[u8]) -> io::Result<()> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let mut file = std::fs::File::from(rustix::fs::memfd_create("jumpvisor-audit", flags)?);
        file.write_all(entry)?;
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&file, seals)?;
        let files: [BorrowedFd<'_>; 1] = [file.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if !beside.push(SendAncillaryMessage::ScmRights(&files)) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let to = SocketAddrUnix::new(&self.socket)?;
        let nothing = [IoSlice::new(b"")];
        rustix::net::sendmsg_addr(from, &to, &nothing, &mut beside, SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

/// An entry as the journal reads it.
fn fields(line: &Object, text: &str) -> Vec<u8> {
    // As syslog counts: a warning, an error, what is of interest.
    let priority = match (json::get_text(line, "event"), json::get_text(line, "result")) {
        (Some("PERMISSION_DENIED"), _) => "4",
        (_, Some("error")) => "3",
        _ => "6",
    };
    let fixed = [("MESSAGE", text), ("SYSLOG_IDENTIFIER", "jumpvisor"), ("PRIORITY", priority)];
    let found =
        FIELDS.iter().filter_map(|(name, field)| Some((*field, json::get_text(line, name)?)));
    let mut out = Vec::new();
    for (field, value) in fixed.into_iter().chain(found) {
        out.extend_from_slice(field.as_bytes());
        if value.contains('\n') {
            // A value of several lines has its length before it.
            out.push(b'\n');
            out.extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            out.push(b'=');
        }
        out.extend_from_slice(value.as_bytes());
        out.push(b'\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_two_lines_cannot_make_a_field() {
        let line = json::object([
            ("user", json::text("eve\nPRIORITY=0")),
            ("tool", json::text("list_vms")),
            ("result", json::text("error")),
        ]);
        let sent = fields(&line, "{}");
        let wanted = b"MESSAGE={}\nSYSLOG_IDENTIFIER=jumpvisor\nPRIORITY=3\n\
            JUMPVISOR_USER\n\x0e\0\0\0\0\0\0\0eve\nPRIORITY=0\nJUMPVISOR_TOOL=list_vms\n\
            JUMPVISOR_RESULT=error\n";
        assert_eq!(sent, wanted);
    }
}
