//! The head of an answer, and chunks.
//!
//! Surprising: a header that would break out of its line is not cleaned but refused, since it can
//! only be a defect of ours.

use crate::error::Error;
use crate::error::Result;
use crate::web::codec::Framing;
use crate::web::codec::is_text;
use crate::web::codec::is_token;

/// What ends a body that was sent in chunks.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Headers that follow from the framing; the caller does not send them.
const OURS: [&str; 3] = ["connection", "content-length", "transfer-encoding"];

#[rustfmt::skip]
const REASONS: &[(u16, &str)] = &[
    (100, "Continue"), (200, "OK"), (201, "Created"), (202, "Accepted"), (204, "No Content"),
    (206, "Partial Content"), (301, "Moved Permanently"), (302, "Found"), (303, "See Other"),
    (304, "Not Modified"), (307, "Temporary Redirect"), (400, "Bad Request"),
    (401, "Unauthorized"), (403, "Forbidden"), (404, "Not Found"), (405, "Method Not Allowed"),
    (406, "Not Acceptable"), (408, "Request Timeout"), (409, "Conflict"), (411, "Length Required"),
    (412, "Precondition Failed"), (413, "Content Too Large"), (414, "URI Too Long"),
    (415, "Unsupported Media Type"), (416, "Range Not Satisfiable"), (429, "Too Many Requests"),
    (431, "Request Header Fields Too Large"), (500, "Internal Server Error"),
    (501, "Not Implemented"), (502, "Bad Gateway"), (503, "Service Unavailable"),
    (504, "Gateway Timeout"), (505, "HTTP Version Not Supported"), (507, "Insufficient Storage"),
];

/// The words behind a status; empty, which is allowed, for one that has none here.
pub fn reason(status: u16) -> &'static str {
    REASONS.iter().find(|(code, _)| *code == status).map_or("", |(_, text)| text)
}

/// True if an answer with this status never has a body.
pub fn is_bare(status: u16) -> bool {
    status < 200 || matches!(status, 204 | 304)
}

/// Writes status line and headers, to the empty line. A `Date` is the caller's to add.
pub fn head(
    out: &mut Vec<u8>,
    status: u16,
    headers: &[(&str, String)],
    framing: Framing,
    keep_alive: bool,
) -> Result<()> {
    if !(100..1000).contains(&status) {
        return Err(Error::bug(format!("{status} is no HTTP status")));
    }
    let start = out.len();
    out.extend_from_slice(format!("HTTP/1.1 {status} {}\r\n", reason(status)).as_bytes());
    for (name, value) in headers {
        let sound = !name.is_empty() && name.bytes().all(is_token) && value.bytes().all(is_text);
        if !sound || OURS.iter().any(|it| it.eq_ignore_ascii_case(name)) {
            out.truncate(start);
            return Err(Error::bug("an answer has a header that cannot be sent"));
        }
        line(out, name, value);
    }
    match framing {
        _ if is_bare(status) => {}
        Framing::Length(length) => line(out, "Content-Length", &length.to_string()),
        Framing::Chunked => line(out, "Transfer-Encoding", "chunked"),
        Framing::None => {}
    }
    if !keep_alive {
        line(out, "Connection", "close");
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

fn line(out: &mut Vec<u8>, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Writes one chunk; nothing for no data, because an empty chunk is the last one.
pub fn chunk(out: &mut Vec<u8>, data: &[u8]) {
    if !data.is_empty() {
        out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
        out.extend_from_slice(data);
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(status: u16, name: &str, value: &str, framing: Framing, keep: bool) -> Result<String> {
        let mut out = b"before".to_vec();
        let written = head(&mut out, status, &[(name, value.to_owned())], framing, keep);
        if written.is_err() {
            assert_eq!(out, b"before");
        }
        written.map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn heads() {
        assert_eq!(
            text(200, "Date", "now", Framing::Length(5), true).unwrap(),
            "beforeHTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 5\r\n\r\n"
        );
        assert_eq!(
            text(299, "A", "", Framing::Chunked, false).unwrap(),
            "beforeHTTP/1.1 299 \r\nA: \r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        );
        let bare = text(204, "A", "b", Framing::Length(0), true).unwrap();
        assert_eq!(bare, "beforeHTTP/1.1 204 No Content\r\nA: b\r\n\r\n");
    }

    #[test]
    fn nothing_breaks_out_of_its_line() {
        for (name, value) in [
            ("A", "b\r\nC: d"),
            ("A", "b\n"),
            ("A", "\0"),
            ("A: b", ""),
            ("A\r\n", ""),
            ("", "b"),
            ("content-Length", "5"),
        ] {
            assert!(text(200, name, value, Framing::None, true).is_err(), "{name:?} {value:?}");
        }
        assert!(text(99, "A", "b", Framing::None, true).is_err());
    }

    #[test]
    fn chunks() {
        let mut out = Vec::new();
        chunk(&mut out, &[b'a'; 26]);
        chunk(&mut out, b"");
        assert_eq!(out, [&b"1a\r\n"[..], &[b'a'; 26], b"\r\n"].concat());
    }
}
