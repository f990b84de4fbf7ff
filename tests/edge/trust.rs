//! TLS: what is agreed on, what is refused, and a certificate that changes under load.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use jumpvisor::web::client::{Client, Settings};
use jumpvisor::web::exchange::{Exchange, Request, read_capped};
use jumpvisor::web::serve::identity::Identity;
use jumpvisor::web::tls::Trust;

use crate::clients::{curl, folder};
use crate::stage::*;

/// A certificate for this machine and its key, in files of these names.
fn write(folder: &Path) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]);
    let made = made.unwrap();
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (certificate, key)
}

fn encrypted(folder: &Path) -> (Edge, Arc<Identity>) {
    let (certificate, key) = write(folder);
    let identity = Arc::new(Identity::open(&certificate, &key).unwrap());
    let limits = |limits: &mut jumpvisor::web::serve::limits::Limits| {
        limits.head = Duration::from_millis(700);
    };
    (start_at(listen("127.0.0.1:0"), Some(Arc::clone(&identity)), limits), identity)
}

#[test]
fn curl_over_tls_keeps_its_connection_and_agrees_on_http_1() {
    let folder = folder("tls");
    let (edge, _identity) = encrypted(&folder);
    let url = |path: &str| format!("https://localhost:{}{path}", edge.address().port());
    let ca = folder.join("cert.pem");
    let ca = ca.to_str().unwrap();
    let many = ["-v", "--http2", "--cacert", ca, &url("/who"), &url("/stream"), &url("/who")];
    if let Some(heard) = curl(&many, b"") {
        assert!(heard.contains("ALPN: server accepted http/1.1"), "{heard}");
        assert!(heard.contains("data: 4") && heard.contains("GET 127.0.0.1 true"), "{heard}");
        assert_eq!(heard.matches("Re-using existing connection").count(), 2, "{heard}");
        let input = vec![b'z'; 3 << 20];
        let sent = ["--cacert", ca, "-T", "-", "-X", "POST", &url("/echo")];
        assert_eq!(curl(&sent, &input).unwrap().len(), input.len());
        let old = curl(&["-i", "--cacert", ca, "--tls-max", "1.2", &url("/who")], b"").unwrap();
        assert_eq!(status(&old), 200);
        let plain = format!("http://{}/who", edge.address());
        assert!(curl(&[&plain], b"").unwrap().contains("this port speaks TLS"));
        let peers = std::env::var("JUMPVISOR_PEERS").unwrap_or_default();
        let foreign = format!("{peers}/cert.pem");
        if Path::new(&foreign).exists() {
            let refused = curl(&["--cacert", &foreign, &url("/who")], b"").unwrap();
            assert!(refused.contains("certificate"), "{refused}");
        }
    }
    // Nothing, half a hello, and rubbish: all end, the silent ones in bounded time.
    for text in [&b""[..], b"\x16\x03\x01\x02\x00\x01", b"\x16\xff\xff\xff\xff\xff\xff\xff\xff"] {
        let mut stream = edge.connect();
        stream.write_all(text).unwrap();
        whatever(&mut stream);
    }
    until("all have ended", || edge.connections() == 0);
    drop(edge);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_client_that_leaves_in_the_middle_is_noticed_over_tls_too() {
    let folder = folder("leaves");
    let (edge, _identity) = encrypted(&folder);
    let url = format!("https://localhost:{}/silent", edge.address().port());
    let ca = folder.join("cert.pem");
    let leaving = ["--cacert", ca.to_str().unwrap(), "--max-time", "1", &url];
    if let Some(heard) = curl(&leaving, b"") {
        assert!(heard.contains(": begun"), "{heard}");
        until("it is noticed", || edge.stage.gone.load(Ordering::SeqCst) == 1);
    }
    drop(edge);
    std::fs::remove_dir_all(folder).unwrap();
}

fn ask(client: &Client) -> Result<String, String> {
    let text = |error: jumpvisor::error::Error| error.to_string();
    let mut answer = client.exchange(&Request::new("GET", "/who", b"")).map_err(text)?;
    read_capped(&mut answer.body, 1000)
        .map(|it| String::from_utf8_lossy(&it).into_owned())
        .map_err(text)
}

fn client(edge: &Edge, trust: Trust) -> Client {
    Client::new(Settings {
        host: "localhost".to_owned(),
        port: edge.address().port(),
        tls: true,
        trust,
        connect_timeout: SOON,
        idle_timeout: SOON,
        proxy: None,
        no_proxy: String::new(),
    })
    .unwrap()
}

#[test]
fn a_new_certificate_serves_from_now_on_and_a_broken_one_never() {
    let folder = folder("reload");
    let (edge, identity) = encrypted(&folder);
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let old = folder.join("old.pem");
    std::fs::copy(&certificate, &old).unwrap();
    let before = client(&edge, Trust::CaFile(old.clone()));
    assert!(ask(&before).unwrap().contains("true"));

    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                // Each time another connection: either certificate is right.
                ask(&client(&edge, Trust::Insecure)).unwrap();
                asked.fetch_add(1, Ordering::SeqCst);
            }
        });
        let some = |more| until("more is asked", || asked.load(Ordering::SeqCst) > more);
        some(5);
        std::fs::write(&key, "-----BEGIN PRIVATE KEY-----\nAAAA\n").unwrap();
        let broken = identity.reload().unwrap_err().to_string();
        assert!(broken.contains("goes on with the certificate that was read before"), "{broken}");
        assert!(ask(&client(&edge, Trust::CaFile(old.clone()))).is_ok());
        write(&folder);
        identity.reload().unwrap();
        some(asked.load(Ordering::SeqCst) + 5);
        over.store(true, Ordering::SeqCst);
    });
    assert!(ask(&client(&edge, Trust::CaFile(certificate.clone()))).is_ok());
    assert!(ask(&client(&edge, Trust::CaFile(old.clone()))).is_err());
    // What was open stays as it was.
    assert!(ask(&before).is_ok());
    drop(edge);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_key_of_another_certificate_is_named() {
    let (one, other) = (folder("one"), folder("other"));
    let ((certificate, _), (_, key)) = (write(&one), write(&other));
    let error = Identity::open(&certificate, &key).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("is not that of the certificate in"), "{error}");
    let error = Identity::open(&key, &key).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("holds no certificate"), "{error}");
    let error = Identity::open(&certificate, &certificate).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("holds no key"), "{error}");
    let mut text = String::new();
    std::fs::File::open(&certificate).unwrap().read_to_string(&mut text).unwrap();
    std::fs::write(&certificate, text.replace("-----END", "AAAA\n-----END")).unwrap();
    let error = Identity::open(&certificate, &key).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("certificate file") || error.contains("is not that"), "{error}");
    let rsa = other.join("rsa.pem");
    let mut openssl = std::process::Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=a", "-keyout"]);
    openssl.arg(&rsa).arg("-out").arg(&certificate).stderr(std::process::Stdio::null());
    let made = openssl.status().is_ok_and(|it| it.success());
    assert!(made, "openssl is missing: run tests/peers/install");
    let error = Identity::open(&certificate, &rsa).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("RSA keys are not taken") && error.contains("ecparam"), "{error}");
    for folder in [one, other] {
        std::fs::remove_dir_all(folder).unwrap();
    }
}
