//! What the tests of the hub share: hubs in folders of their own, guests, waits with a bound.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jumpvisor::error::Result;
use jumpvisor::serial::hub::{
    About, Caller, Console, Hub, Outside, Place, Session, Settings, State, Way,
};
use jumpvisor::sim::line::Guest;

pub const PATIENCE: Duration = Duration::from_secs(20);

/// Sends back what is typed.
pub struct Echo;

impl Guest for Echo {
    fn typed(&self, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }
}

/// Keeps what is typed.
#[derive(Default)]
pub struct Kept(pub Mutex<Vec<u8>>);

impl Guest for Kept {
    fn typed(&self, bytes: &[u8]) -> Vec<u8> {
        self.0.lock().unwrap().extend(bytes);
        Vec::new()
    }
}

/// A folder that goes with the test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name =
            format!("jv-serial-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Knows machines by their UUID, and keeps what was told about sessions.
#[derive(Default)]
pub struct Known {
    pub machines: Mutex<Vec<About>>,
    pub sessions: Mutex<Vec<String>>,
    pub closed: Mutex<bool>,
}

impl Outside for Known {
    fn may_dial_in(&self, from: IpAddr) -> bool {
        from.is_loopback() && !*self.closed.lock().unwrap()
    }

    fn whose(&self, caller: &Caller) -> Result<Option<About>> {
        let told = [&caller.identity.vc_uuid, &caller.identity.bios_uuid];
        let all = self.machines.lock().unwrap();
        let mut is = all.iter().filter(|it| {
            it.uuids.iter().any(|uuid| told.iter().any(|it| it.as_deref() == Some(uuid)))
        });
        // Two ports of a machine are told apart by the URI.
        let found = is.clone().find(|it| caller.uri.ends_with(&it.place.port)).or(is.next());
        Ok(found.cloned())
    }

    fn session(&self, _number: u64, about: &About, who: &str, what: Session<'_>) {
        let told = match what {
            Session::Begins => "Begins".to_owned(),
            Session::Ends { why, typed, .. } => {
                format!("Ends {{ why: {why:?}, typed: {typed} }}")
            }
        };
        self.sessions.lock().unwrap().push(format!("{} {who} {told}", about.place.machine));
    }
}

pub fn settings(ring_bytes: usize) -> Settings {
    Settings { ring_bytes, ..Settings::default() }
}

pub fn hub() -> Hub {
    Hub::new(settings(256 << 10))
}

pub fn about(machine: &str) -> About {
    let place = Place {
        server: "esxi01".to_owned(),
        machine: machine.to_owned(),
        port: "Serial port 1".to_owned(),
    };
    About { place, name: format!("edge {machine}"), uuids: Vec::new() }
}

pub fn way(address: SocketAddr, telnet: bool) -> Way {
    Way::Dial { host: address.ip().to_string(), port: address.port(), telnet, tls: false }
}

pub fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

pub fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let until = Instant::now() + PATIENCE;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).unwrap();
                return patient(stream);
            }
            Err(error) => assert!(Instant::now() < until, "nobody dials: {error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

#[track_caller]
pub fn soon(what: &str, mut test: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !test() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[track_caller]
pub fn connected(console: &Console) {
    soon("connected", || console.status().state == State::Connected);
}

/// All that was said, once it is so long.
#[track_caller]
pub fn said(console: &Console, length: u64) -> Vec<u8> {
    soon("it is not all there", || console.status().position >= length);
    console.read(Some(0), usize::MAX, Duration::ZERO, &|| false).bytes
}

/// Reads until this has come.
#[track_caller]
pub fn until(stream: &mut impl std::io::Read, end: &[u8]) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    while !all.windows(end.len()).any(|it| it == end) {
        let count = stream.read(&mut buffer).unwrap_or(0);
        assert!(count > 0, "{} did not come: {}", end.escape_ascii(), all.escape_ascii());
        all.extend(&buffer[..count]);
    }
    all
}

pub fn every_byte() -> Vec<u8> {
    (0..=255).chain(*b"\r\n\r\0\n\r\r").chain([255, 255, 240, 255]).collect()
}

/// Sends byte by byte, so that the other end sees every split.
pub fn drip(stream: &mut TcpStream, bytes: &[u8]) {
    for byte in bytes {
        stream.write_all(&[*byte]).unwrap();
    }
}

pub fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = [0; 4096];
    loop {
        match stream.read(&mut rest) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

pub fn known(all: &[&str]) -> Arc<Known> {
    let known = Known::default();
    for machine in all {
        let mut about = about(machine);
        about.uuids = vec![bios(machine).replace('-', "")];
        known.machines.lock().unwrap().push(about);
    }
    Arc::new(known)
}

/// The UUID of a machine by its id of up to twelve digits.
pub fn bios(machine: &str) -> String {
    format!("564d0000-0000-0000-0000-{machine:0>12}")
}

/// TLS by this certificate, for a port that a test plays.
pub fn tls_of(made: &rcgen::CertifiedKey<rcgen::KeyPair>) -> Arc<rustls::ServerConfig> {
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder_with_provider(jumpvisor::web::provider::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into());
    Arc::new(config.unwrap())
}
