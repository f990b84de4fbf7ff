//! Peers for the tests: a threaded HTTP server with or without TLS, certificates, a proxy.
//!
//! It knows no HTTP library, so that it can misbehave as a test wants. Surprising: `heard` holds
//! what arrived byte for byte, which is how tests look at headers.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use jumpvisor::error::Error;
use jumpvisor::web::client::{Client, Settings};
use jumpvisor::web::exchange::{Exchange, Request, read_capped};
use jumpvisor::web::tls::Trust;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A connection, with or without TLS.
pub trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

/// What a server saw.
pub struct Server {
    pub port: u16,
    pub dials: Arc<AtomicUsize>,
    pub heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub fn dials(&self) -> usize {
        self.dials.load(Ordering::SeqCst)
    }

    pub fn last(&self) -> String {
        self.heard.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

/// Serves on loopback; `answer` writes to the wire and says whether to go on listening.
pub fn serve(
    tls: Option<Arc<ServerConfig>>,
    answer: impl Fn(&str, &mut dyn Wire) -> bool + Send + Sync + 'static,
) -> Server {
    serve_at("127.0.0.1:0", tls, answer)
}

pub fn serve_at(
    address: &str,
    tls: Option<Arc<ServerConfig>>,
    answer: impl Fn(&str, &mut dyn Wire) -> bool + Send + Sync + 'static,
) -> Server {
    let listener = TcpListener::bind(address).unwrap();
    let server = Server {
        port: listener.local_addr().unwrap().port(),
        dials: Arc::default(),
        heard: Arc::default(),
    };
    let (dials, heard) = (Arc::clone(&server.dials), Arc::clone(&server.heard));
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            dials.fetch_add(1, Ordering::SeqCst);
            let (tls, heard, answer) = (tls.clone(), Arc::clone(&heard), Arc::clone(&answer));
            thread::spawn(move || match tls {
                None => talk(stream, &heard, &*answer),
                Some(config) => {
                    let conn = ServerConnection::new(config).unwrap();
                    talk(StreamOwned::new(conn, stream), &heard, &*answer);
                }
            });
        }
    });
    server
}

fn talk(
    mut wire: impl Wire,
    heard: &Mutex<Vec<String>>,
    answer: &dyn Fn(&str, &mut dyn Wire) -> bool,
) {
    while let Some(request) = hear(&mut wire) {
        heard.lock().unwrap().push(request.clone());
        if !answer(&request, &mut wire) {
            return;
        }
        let _ = wire.flush();
    }
}

/// Reads one request, head and body.
pub fn hear(wire: &mut dyn Wire) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        wire.read_exact(&mut byte).ok()?;
        bytes.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&bytes).to_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    wire.read_exact(&mut body).ok()?;
    bytes.extend(body);
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// An answer with a length.
pub fn reply(wire: &mut dyn Wire, status: &str, headers: &str, body: &[u8]) -> bool {
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    wire.write_all(head.as_bytes()).and_then(|()| wire.write_all(body)).is_ok()
}

/// Answers everything with "hello".
pub fn hello(request: &str, wire: &mut dyn Wire) -> bool {
    if request.starts_with("HEAD") {
        return wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").is_ok();
    }
    reply(wire, "200 OK", "", b"hello")
}

/// A certificate with its key, and the authority that signed it if that is another one.
pub struct Identity {
    pub certificate: String,
    pub key: String,
    pub authority: String,
}

impl Identity {
    /// Signed by itself; `change` may alter names, dates and the like.
    pub fn alone(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = params(names);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Identity { authority: certificate.clone(), certificate, key: key.serialize_pem() }
    }

    /// Signed by an authority made for it.
    pub fn signed(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut above = params(&["authority.test"]);
        above.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let above_key = KeyPair::generate().unwrap();
        let authority = above.self_signed(&above_key).unwrap().pem();
        let issuer = Issuer::new(above, above_key);
        let mut params = params(names);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap().pem();
        Identity { certificate, key: key.serialize_pem(), authority }
    }

    pub fn config(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        // Not `with_single_cert`, which checks the certificate and so refuses bad ones.
        let signer = provider.key_provider.load_private_key(key).unwrap();
        let certified = rustls::sign::CertifiedKey::new(vec![der(&self.certificate)], signer);
        let resolver = rustls::sign::SingleCertAndKey::from(certified);
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        Arc::new(config)
    }

    pub fn fingerprint(&self) -> [u8; 32] {
        let digest = ring::digest::digest(&ring::digest::SHA256, &der(&self.certificate));
        digest.as_ref().try_into().unwrap()
    }

    /// SHA-1.
    pub fn thumbprint(&self) -> [u8; 20] {
        let sha1 = &ring::digest::SHA1_FOR_LEGACY_USE_ONLY;
        ring::digest::digest(sha1, &der(&self.certificate)).as_ref().try_into().unwrap()
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    CertificateParams::new(names).unwrap()
}

pub fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// A file that goes away with the test.
pub struct TempFile(pub std::path::PathBuf);

impl TempFile {
    pub fn new(text: &str) -> TempFile {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let name = format!("jumpvisor-web-{}-{number}.pem", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        TempFile(path)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Settings for a server of these tests, with short waits.
pub fn settings(host: &str, port: u16, tls: bool, trust: Trust) -> Settings {
    Settings {
        host: host.to_owned(),
        port,
        tls,
        trust,
        connect_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(5),
        proxy: None,
        no_proxy: String::new(),
    }
}

pub fn plain(server: &Server) -> Client {
    Client::new(settings("127.0.0.1", server.port, false, Trust::Insecure)).unwrap()
}

/// GET and the whole body.
pub fn get(client: &Client, path: &str) -> Result<(u16, Vec<u8>), Error> {
    let mut response = client.exchange(&Request::new("GET", path, b""))?;
    Ok((response.status, read_capped(&mut response.body, 1_000_000)?))
}

/// Carries bytes both ways until one side ends.
pub fn relay(left: TcpStream, right: TcpStream) {
    let (mut left_in, mut right_in) = (left.try_clone().unwrap(), right.try_clone().unwrap());
    let (mut left_out, mut right_out) = (left, right);
    thread::spawn(move || std::io::copy(&mut left_in, &mut right_out));
    let _ = std::io::copy(&mut right_in, &mut left_out);
}
