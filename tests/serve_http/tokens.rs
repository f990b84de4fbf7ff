//! Tokens of an issuer that is down at first, forged ones, other keys of the issuer, and its end.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use jumpvisor::text::base64::encode_url;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

use crate::rig::*;

const BASE: &str = "https://jump.example";

fn pair() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let how = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(how, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(how, document.as_ref(), &random).unwrap()
}

/// An issuer at this port, with a key of this name.
struct Issuer {
    port: u16,
    key: Mutex<(String, EcdsaKeyPair)>,
    down: AtomicBool,
}

impl Issuer {
    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/sso", self.port)
    }

    fn keys(&self) -> String {
        let key = self.key.lock().unwrap();
        let point = key.1.public_key().as_ref();
        format!(
            r#"{{"keys":[{{"kty":"EC","crv":"P-256","use":"sig","kid":"{}","x":"{}","y":"{}"}}]}}"#,
            key.0,
            encode_url(&point[1..33]),
            encode_url(&point[33..])
        )
    }

    fn listen(self: &Arc<Issuer>) {
        let (issuer, listener) = (self.clone(), TcpListener::bind(("127.0.0.1", self.port)));
        let listener = listener.unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if !issuer.down.load(Ordering::SeqCst) {
                    issuer.answer(stream);
                }
            }
        });
    }

    fn answer(&self, mut stream: TcpStream) {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).unwrap_or(0);
        let asked = String::from_utf8_lossy(&piece[..count]).into_owned();
        let url = self.url();
        let body = match asked.contains("/keys ") {
            true => self.keys(),
            false => format!(r#"{{"issuer":"{url}","jwks_uri":"{url}/keys"}}"#),
        };
        let length = body.len();
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        let _ = stream.write_all((head + &body).as_bytes());
    }

    /// Claims that are good, with these seconds until the end and from the beginning.
    fn claims(&self, audience: &str, ends: i64, begins: i64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
        format!(
            r#"{{"iss":"{}","aud":"{audience}","sub":"u1","preferred_username":"ann","groups":["vsphere-readers"],"exp":{},"nbf":{}}}"#,
            self.url(),
            now + ends,
            now + begins
        )
    }

    fn sign(&self, claims: &str) -> String {
        let key = self.key.lock().unwrap();
        let head = format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"{}"}}"#, key.0);
        let message = format!("{}.{}", encode_url(head.as_bytes()), encode_url(claims.as_bytes()));
        let signed = key.1.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", encode_url(signed.as_ref()))
    }
}

#[test]
fn tokens_of_an_issuer_that_comes_late_changes_its_keys_and_goes() {
    let rig = Rig::start();
    let key = Mutex::new(("one".to_owned(), pair()));
    let issuer = Arc::new(Issuer { port: free_port(), key, down: AtomicBool::new(false) });
    let url = issuer.url();
    let settings =
        [("OAUTH_ENABLED", "true"), ("OAUTH_ISSUER_URL", url.as_str()), ("OAUTH_BASE_URL", BASE)];
    let daemon = rig.serve("d", &settings);
    let here = format!("{BASE}/mcp");
    let good = issuer.sign(&issuer.claims(&here, 300, -10));
    // It starts without its issuer, and says so to whom it concerns.
    let late = daemon.post(&good, LIST);
    late.holds(503, &["Retry-After: ", "cannot be asked"]);
    daemon.hears("gives no keys, nobody can sign in by it");
    issuer.listen();
    wait("the issuer's keys", || (daemon.post(&good, LIST).status == 200).then_some(()));

    let claims = |audience: &str, ends, begins| issuer.claims(audience, ends, begins);
    let point = issuer.key.lock().unwrap().1.public_key().as_ref().to_vec();
    let by_hand = |head: &str, sign: &dyn Fn(&[u8]) -> Vec<u8>| {
        let (head, claims) = (encode_url(head.as_bytes()), claims(&here, 300, -10));
        let message = format!("{head}.{}", encode_url(claims.as_bytes()));
        format!("{message}.{}", encode_url(&sign(message.as_bytes())))
    };
    let confused = |secret: &[u8]| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let head = r#"{"alg":"HS256","typ":"at+jwt","kid":"one"}"#;
        by_hand(head, &|it| hmac::sign(&key, it).as_ref().to_vec())
    };
    let mut foreign = good.clone();
    foreign.replace_range(good.len() - 8.., "AAAAAAAA");
    for (what, token, status) in [
        ("expired", issuer.sign(&claims(&here, -90, -300)), 401),
        ("expired within the skew", issuer.sign(&claims(&here, -30, -300)), 200),
        ("not yet", issuer.sign(&claims(&here, 300, 90)), 401),
        ("not yet, within the skew", issuer.sign(&claims(&here, 300, 30)), 200),
        ("another's", issuer.sign(&claims("https://other.example/mcp", 300, -10)), 401),
        ("none", by_hand(r#"{"alg":"none","typ":"at+jwt"}"#, &|_| Vec::new()), 401),
        ("none, signed", by_hand(r#"{"alg":"none","kid":"one"}"#, &|_| vec![0; 64]), 401),
        ("confused with the point", confused(&point), 401),
        ("confused with the document", confused(issuer.keys().as_bytes()), 401),
        ("zeros", by_hand(r#"{"alg":"ES256","kid":"one"}"#, &|_| vec![0; 64]), 401),
        (
            "its own key",
            by_hand(r#"{"alg":"ES256","kid":"me","jwk":{"kty":"EC"}}"#, &|_| vec![1; 64]),
            401,
        ),
        ("changed", foreign, 401),
        ("good", good.clone(), 200),
    ] {
        let heard = daemon.post(&token, LIST);
        assert_eq!(heard.status, status, "{what}: {}", heard.text);
        if status == 401 {
            heard.holds(
                401,
                &["error=\"invalid_token\"", "resource_metadata=\"https://jump.example"],
            );
            assert!(!heard.text.contains(&token), "{what}: the token comes back");
        }
    }
    let denied = daemon.tool(&good, "delete_vm", r#"{"name":"db01"}"#);
    denied.holds(403, &["insufficient_scope"]);
    assert!(daemon.audit().contains(r#""user":"ann""#), "{}", daemon.audit());

    // Other keys are looked for once in a while; the ones before are good no more.
    *issuer.key.lock().unwrap() = ("two".to_owned(), pair());
    let next = issuer.sign(&issuer.claims(&here, 300, -10));
    wait("the new keys", || (daemon.post(&next, LIST).status == 200).then_some(()));
    daemon.post(&good, LIST).holds(401, &["invalid_token"]);
    // And when it goes, who is known stays so.
    issuer.down.store(true, Ordering::SeqCst);
    daemon.post(&next, LIST).holds(200, &[]);
    daemon.post(&issuer.sign(&issuer.claims(&here, 300, -10)), LIST).holds(200, &[]);
    let (said, audit) = (daemon.said(), daemon.audit());
    for token in [&good, &next] {
        let signature = token.rsplit('.').next().unwrap();
        assert!(!said.contains(signature) && !audit.contains(signature), "a token is written down");
    }
}
