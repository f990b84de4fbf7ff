//! HTTP/1.1 as a server sees it: bytes in, requests out; answers in, bytes out. No sockets.
//!
//! The simulated host drives it with threads, the daemon with its event loop. [`head`] reads a
//! request's head, [`body`] undoes its framing, [`reply`] writes the head of an answer and [`range`]
//! reads what part of a file is wanted. It must not know paths or what a body means. Surprising:
//! whatever two readers could understand differently is refused (both lengths, a bare line feed, a
//! folded header), and in what pieces the bytes come never changes what is made of them.

pub mod body;
pub mod head;
pub mod range;
pub mod reply;

/// How much of a request is taken.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the target, path and query; 414 above.
    pub target: usize,
    /// Bytes of the whole head, request line included; 431 above.
    pub head: usize,
    /// Headers; 431 above.
    pub headers: usize,
    /// Bytes of the body; 413 above.
    pub body: Option<u64>,
}

/// A target of 8 KiB, a head of 32 KiB with 100 headers, a body of any size.
impl Default for Limits {
    fn default() -> Limits {
        Limits { target: 8 << 10, head: 32 << 10, headers: 100, body: None }
    }
}

/// Why a request is not served; nothing behind it on the connection can be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The status to answer before closing.
    pub status: u16,
    /// One line for the client's author; holds nothing that the client sent.
    pub why: &'static str,
}

impl Refused {
    pub(crate) fn new(status: u16, why: &'static str) -> Refused {
        Refused { status, why }
    }

    pub(crate) fn bad(why: &'static str) -> Refused {
        Refused::new(400, why)
    }
}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// In chunks, the last one empty.
    Chunked,
    /// After so many bytes.
    Length(u64),
    /// There is no body; for an answer without keep-alive, until the connection ends.
    None,
}

/// A character of method and header names (`tchar`).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What may stand in the value of a header.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}
