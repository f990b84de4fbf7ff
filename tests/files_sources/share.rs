//! A file that is served in parts, by a server that can be told to misbehave.

use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jumpvisor::error::{Error, Result};
use jumpvisor::files::Files;
use jumpvisor::files::fetch::Web;
use jumpvisor::files::gate::Hosts;
use jumpvisor::files::source::Source;
use jumpvisor::web::exchange::from_io;

use crate::server::{Server, Wire, serve};

/// More than any buffer on the way, and different everywhere.
pub fn data() -> Vec<u8> {
    (0..700_001_u32).flat_map(|it| (it.wrapping_mul(2_654_435_761)).to_le_bytes()).collect()
}

/// How the file is served.
#[derive(Clone, Copy)]
pub struct Manner {
    pub ranges: bool,
    /// Bytes of a body before the connection is closed; all if none.
    pub cut: Option<usize>,
    /// How many answers are cut.
    pub cuts: usize,
    /// The mark of the version at each request.
    pub version: fn(usize) -> &'static str,
}

impl Default for Manner {
    fn default() -> Manner {
        Manner { ranges: true, cut: None, cuts: usize::MAX, version: |_| "\"v1\"" }
    }
}

/// A server of this file at any path.
pub fn share(data: Vec<u8>, how: Manner) -> Server {
    let count = AtomicUsize::new(0);
    serve(None, move |request, wire| {
        let at = count.fetch_add(1, Ordering::SeqCst);
        send(request, wire, &data, &how, at)
    })
}

pub fn send(request: &str, wire: &mut dyn Wire, data: &[u8], how: &Manner, at: usize) -> bool {
    let version = (how.version)(at);
    let same = header(request, "if-range").is_none_or(|it| it == version);
    let from = header(request, "range")
        .filter(|_| how.ranges && same)
        .and_then(|it| it.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let mut head = format!("ETag: {version}\r\nContent-Type: application/octet-stream\r\n");
    let (status, rest) = match from {
        Some(from) if from >= data.len() => {
            head.push_str(&format!("Content-Range: bytes */{}\r\n", data.len()));
            ("416 Range Not Satisfiable", &data[..0])
        }
        Some(from) => {
            let (last, all) = (data.len() - 1, data.len());
            head.push_str(&format!("Content-Range: bytes {from}-{last}/{all}\r\n"));
            ("206 Partial Content", &data[from..])
        }
        None => ("200 OK", data),
    };
    let head = format!("HTTP/1.1 {status}\r\n{head}Content-Length: {}\r\n\r\n", rest.len());
    let cut = how.cut.filter(|_| at < how.cuts);
    let sent = &rest[..cut.unwrap_or(rest.len()).min(rest.len())];
    wire.write_all(head.as_bytes()).and_then(|()| wire.write_all(sent)).is_ok()
        && sent.len() == rest.len()
}

/// A header of a request, whatever the case of its name.
pub fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let pairs = request.lines().filter_map(|line| line.split_once(": "));
    pairs.filter(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
}

/// Files from these hosts, with short waits.
pub fn files(hosts: &[&str]) -> Files {
    Files::anywhere().with_web(web(hosts))
}

pub fn web(hosts: &[&str]) -> Web {
    let hosts: Vec<String> = hosts.iter().map(|it| (*it).to_owned()).collect();
    Web {
        hosts: Hosts::listed(&hosts),
        connect_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(20),
        proxy: None,
        no_proxy: String::new(),
    }
}

/// Loopback by its address.
pub fn local() -> Files {
    files(&["127.0.0.1"])
}

pub fn url(server: &Server, rest: &str) -> String {
    format!("http://127.0.0.1:{}{rest}", server.port)
}

/// All of a source, or what it failed with.
pub fn read(source: Result<Source<'static>>) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    source?.read_to_end(&mut all).map_err(from_io)?;
    Ok(all)
}

#[track_caller]
pub fn refused(outcome: Result<impl Sized>) -> Error {
    outcome.err().expect("it was not refused")
}
