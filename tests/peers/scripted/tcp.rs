//! The peer on a loopback port, with or without TLS: HTTP/1.1, chunked answers, gzip if asked for.
//!
//! Threads serve it and end with the process.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::scripted::Peer;
use crate::scripted::answer::Sent;
use crate::scripted::asked::Asked;

trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

/// Serves on `127.0.0.1`; the port. Answers are compressed where `gzip` and the client take it.
pub fn serve(peer: &Peer, tls: Option<Arc<ServerConfig>>, gzip: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let peer = peer.clone();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (peer, tls) = (peer.clone(), tls.clone());
            thread::spawn(move || match tls {
                None => talk(stream, &peer, gzip),
                Some(config) => {
                    let conn = ServerConnection::new(config).unwrap();
                    talk(StreamOwned::new(conn, stream), &peer, gzip);
                }
            });
        }
    });
    port
}

/// Serves over plain HTTP.
pub fn plain(peer: &Peer) -> u16 {
    serve(peer, None, false)
}

fn talk(mut wire: impl Wire, peer: &Peer, gzip: bool) {
    while let Some(asked) = hear(&mut wire) {
        let takes_gzip = asked.header("Accept-Encoding").is_some_and(|it| it.contains("gzip"));
        let Some(sent) = peer.serve(asked) else { return };
        if write(&mut wire, sent, gzip && takes_gzip).is_none() {
            return;
        }
    }
}

fn hear(wire: &mut dyn Wire) -> Option<Asked> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        wire.read_exact(&mut byte).ok()?;
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (verb, path) = (first.next()?, first.next()?);
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let mut body = vec![0; length.map_or(0, |(_, value)| value.parse().unwrap())];
    wire.read_exact(&mut body).ok()?;
    Some(Asked::new(verb, path, headers, &body))
}

/// Writes an answer in chunks; `None` when the connection has to end.
fn write(wire: &mut dyn Wire, sent: Sent, gzip: bool) -> Option<()> {
    let mut head = format!("HTTP/1.1 {} x\r\nTransfer-Encoding: chunked\r\n", sent.status);
    for (name, value) in &sent.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut body = sent.body;
    if gzip {
        head.push_str("Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n");
        body = Box::new(flate2::read::GzEncoder::new(body, flate2::Compression::fast()));
    }
    wire.write_all(format!("{head}\r\n").as_bytes()).ok()?;
    let mut buffer = vec![0; 32 << 10];
    loop {
        let read = body.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        wire.write_all(format!("{read:x}\r\n").as_bytes()).ok()?;
        wire.write_all(&buffer[..read]).ok()?;
        wire.write_all(b"\r\n").ok()?;
        wire.flush().ok()?;
    }
    if sent.cut {
        return None;
    }
    wire.write_all(b"0\r\n\r\n").and_then(|()| wire.flush()).ok()
}
