//! Where the edge listens: addresses, Unix sockets, and sockets that systemd has opened.
//!
//! It knows nothing of what is served there. Surprising: a Unix socket is made under another name
//! and moved into place once its mode is right, because between its making and a change of its mode
//! anybody could connect; and that is also how a stale one is replaced.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use listenfd::ListenFd;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use smol::Async;

use crate::error::Error;
use crate::error::Kind;
use crate::error::Result;

/// Connections that the system keeps until they are accepted; it may allow fewer.
const BACKLOG: i32 = 1024;

/// Addresses that one name may stand for.
const ADDRESSES: usize = 8;

/// Sockets that are taken from systemd.
const INHERITED: usize = 16;

/// Somewhere to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Place {
    /// Only this machine reaches it.
    pub fn is_local(&self) -> bool {
        match self {
            Place::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Place::Unix(_) => true,
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Tcp(address) => address.fmt(to),
            Place::Unix(path) => write!(to, "unix:{}", path.display()),
        }
    }
}

/// Reads `host`, `host:port`, `[v6]:port`, a bare address, or `unix:/path`. A name may stand for
/// several places.
pub fn places(text: &str, port: u16) -> Result<Vec<Place>> {
    let wrong = |why: String| {
        Error::usage(format!("cannot listen at `{text}`: {why}"))
            .hint("Say host, host:port, [IPv6 address]:port or unix:/path")
    };
    if let Some(path) = text.strip_prefix("unix:") {
        return match path.starts_with('/') && !path.ends_with('/') {
            true => Ok(vec![Place::Unix(PathBuf::from(path))]),
            false => Err(wrong("the path of a Unix socket begins with `/`".to_owned())),
        };
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(vec![Place::Tcp(SocketAddr::new(ip, port))]);
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, "")) => (host, port.to_string()),
            Some((host, behind)) => {
                let of = behind.strip_prefix(':');
                (host, of.ok_or_else(|| wrong("a port follows `:`".to_owned()))?.to_owned())
            }
            None => return Err(wrong("`]` is missing".to_owned())),
        },
        None => match text.split_once(':') {
            Some((host, port)) => (host, port.to_owned()),
            None => (text, port.to_string()),
        },
    };
    let digits = port.bytes().all(|it| it.is_ascii_digit());
    let port: u16 = port
        .parse()
        .ok()
        .filter(|_| digits)
        .ok_or_else(|| wrong("there is no such port".to_owned()))?;
    if text.starts_with('[') {
        let ip = host.parse().map_err(|_| wrong("that is no IPv6 address".to_owned()))?;
        return Ok(vec![Place::Tcp(SocketAddr::new(IpAddr::V6(ip), port))]);
    }
    if host.is_empty() {
        return Err(wrong("there is no host".to_owned()));
    }
    let found = (host, port).to_socket_addrs().map_err(|error| wrong(error.to_string()))?;
    let mut all: Vec<Place> = Vec::new();
    for place in found.take(ADDRESSES).map(Place::Tcp) {
        if !all.contains(&place) {
            all.push(place);
        }
    }
    match all.is_empty() {
        true => Err(wrong("the name has no address".to_owned())),
        false => Ok(all),
    }
}

/// A socket that is being listened to. A Unix socket's file goes with it.
pub struct Listener {
    pub(crate) sockets: Sockets,
    /// What requests carry to tell where they came in.
    pub(crate) name: Arc<str>,
    place: Option<Place>,
    _file: Option<File>,
}

pub(crate) enum Sockets {
    Tcp(Async<TcpListener>),
    Unix(Async<UnixListener>),
}

impl Listener {
    /// Listens. `mode` is that of a Unix socket: who may connect is who may write to it.
    pub fn open(place: &Place, name: &str, mode: u32) -> Result<Listener> {
        let cannot = |error: io::Error| {
            let told = Error::new(Kind::Conflict, format!("cannot listen at `{place}`: {error}"));
            match error.kind() {
                // Of one at a Unix socket it is said already, and who.
                io::ErrorKind::AddrInUse if matches!(place, Place::Tcp(_)) => {
                    told.hint("Another program listens there")
                }
                io::ErrorKind::AddrNotAvailable => told.hint("This machine has no such address"),
                io::ErrorKind::PermissionDenied => {
                    told.hint("Ports below 1024 and foreign folders need rights; take another")
                }
                _ => told,
            }
        };
        let (sockets, file) = match place {
            Place::Tcp(address) => (tcp(*address).map_err(cannot)?, None),
            Place::Unix(path) => {
                let (socket, file) = unix(path, mode).map_err(cannot)?;
                (socket, Some(file))
            }
        };
        Listener::of(sockets, name, file).map_err(cannot)
    }

    fn of(sockets: Sockets, name: &str, file: Option<File>) -> io::Result<Listener> {
        let place = match &sockets {
            Sockets::Tcp(it) => Some(Place::Tcp(it.get_ref().local_addr()?)),
            Sockets::Unix(it) => {
                let path = it.get_ref().local_addr()?.as_pathname().map(Path::to_owned);
                file.as_ref().map(|it| it.path.clone()).or(path).map(Place::Unix)
            }
        };
        Ok(Listener { sockets, name: Arc::from(name), place, _file: file })
    }

    /// What it is called: by us, or by systemd.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens, with the port that the system chose; none for a socket without a name.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }
}

fn tcp(address: SocketAddr) -> io::Result<Sockets> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // A server that is started again need not wait for the connections of the one before.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Async::new(TcpListener::from(socket)).map(Sockets::Tcp)
}

/// The file of a Unix socket, removed when it is dropped unless it is another's by now.
struct File {
    path: PathBuf,
    id: (u64, u64),
}

impl Drop for File {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|it| (it.dev(), it.ino()) == self.id) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn unix(path: &Path, mode: u32) -> io::Result<(Sockets, File)> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::other("there is a file that is no socket"));
        }
        // Whatever is not a plain refusal, somebody may be behind it. Two that start at the same
        // moment may both find it stale; the later one then has the place.
        Ok(_) => match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Ok(it) => {
                let said = format!("{} listens there", other(&it));
                return Err(io::Error::new(io::ErrorKind::AddrInUse, said));
            }
            Err(error) => return Err(error),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let new = path.with_extension(format!("{}", std::process::id()));
    let _ = fs::remove_file(&new);
    let ready = || {
        // The folder of the name decides for this short while; no one may connect yet.
        let socket = unbacked(&new)?;
        fs::set_permissions(&new, fs::Permissions::from_mode(mode))?;
        rustix::net::listen(&socket, BACKLOG)?;
        let socket = UnixListener::from(socket);
        let found = fs::symlink_metadata(&new)?;
        fs::rename(&new, path)?;
        let file = File { path: path.to_owned(), id: (found.dev(), found.ino()) };
        Ok((Sockets::Unix(Async::new(socket)?), file))
    };
    ready().inspect_err(|_: &io::Error| {
        let _ = fs::remove_file(&new);
    })
}

/// Who is at the other end, for a person.
fn other(socket: &UnixStream) -> String {
    let who = sockopt::socket_peercred(socket);
    who.map_or("another program".to_owned(), |it| format!("process {}", it.pid.as_raw_nonzero()))
}

/// Who listens at the Unix socket of this path, for a person; none where nobody does.
pub fn who_listens(path: &Path) -> Option<String> {
    UnixStream::connect(path).ok().map(|it| other(&it))
}

/// A Unix socket that has a name and does not listen yet.
fn unbacked(path: &Path) -> io::Result<OwnedFd> {
    let address = rustix::net::SocketAddrUnix::new(path)?;
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

/// The sockets that systemd has opened for this process; none if it has not. To be called once,
/// before there are threads: it takes what the environment says about them out of it.
pub fn inherited() -> Result<Vec<Listener>> {
    let ours = std::env::var("LISTEN_PID").is_ok_and(|it| it == std::process::id().to_string());
    if !ours {
        return Ok(Vec::new());
    }
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut found = ListenFd::from_env();
    if found.len() > INHERITED {
        return Err(Error::usage(format!("systemd passes {} sockets", found.len()))
            .hint(format!("Pass at most {INHERITED}")));
    }
    let mut all = Vec::new();
    for at in 0..found.len() {
        let name = names.next().filter(|it| !it.is_empty()).unwrap_or("socket");
        let cannot = |why: io::Error| {
            Error::usage(format!("cannot listen at the socket `{name}` of systemd: {why}"))
                .hint("It must be ListenStream= with Accept=no")
        };
        let sockets = match found.take_tcp_listener(at) {
            Ok(Some(socket)) => listens(socket).and_then(Async::new).map(Sockets::Tcp),
            _ => match found.take_unix_listener(at) {
                Ok(Some(socket)) => listens(socket).and_then(Async::new).map(Sockets::Unix),
                Ok(None) => continue,
                Err(error) => Err(error),
            },
        };
        let listener = sockets.and_then(|it| Listener::of(it, name, None));
        all.push(listener.map_err(cannot)?);
    }
    Ok(all)
}

fn listens<T: std::os::fd::AsFd>(socket: T) -> io::Result<T> {
    match sockopt::socket_acceptconn(&socket)? {
        true => Ok(socket),
        false => Err(io::Error::other("it does not listen")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match places(text, 8080) {
            Ok(all) => all.iter().map(Place::to_string).collect::<Vec<_>>().join(" "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn places_as_people_write_them() {
        for (text, place) in [
            ("127.0.0.1", "127.0.0.1:8080"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("::1", "[::1]:8080"),
            ("::", "[::]:8080"),
            ("[::1]", "[::1]:8080"),
            ("[fe80::1]:0", "[fe80::1]:0"),
            ("unix:/run/a b.sock", "unix:/run/a b.sock"),
        ] {
            assert_eq!(read(text), place);
        }
        assert!(read("localhost:9").contains("127.0.0.1:9"));
        assert!(places("localhost", 9).unwrap().iter().all(Place::is_local));
        assert!(!places("0.0.0.0", 9).unwrap()[0].is_local());
        assert!(places("::ffff:127.0.0.1", 9).unwrap()[0].is_local());
        for text in
            ["", ":80", "a:", "a:+80", "a:99999", "[::1", "[::1]80", "[a]:80", "[127.0.0.1]:1"]
        {
            assert!(read(text).contains(&format!("cannot listen at `{text}`: ")), "{}", read(text));
        }
        for text in ["unix:", "unix:a", "unix:@a", "unix:/run/"] {
            assert!(read(text).contains("begins with `/`"), "{}", read(text));
        }
    }
}
