//! Tests of the issuer: a server in memory that is counted, taken down, and given new keys.

use super::*;
use crate::auth::claims::canonical;
use crate::auth::jwt::tests::Signer;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What time it is when a test begins.
pub const NOW: u64 = 1_800_000_000;

const HEADER: &str = r#"{"alg":"EdDSA","kid":"k1"}"#;

/// The documents of a server, by address.
#[derive(Clone, Default)]
pub struct World(Arc<Inside>);

#[derive(Default)]
struct Inside {
    documents: Mutex<Vec<(String, u16, String)>>,
    asked: Mutex<Vec<String>>,
    down: AtomicBool,
    slow: AtomicUsize,
}

impl World {
    /// An issuer at `https://id.example` with the key `k1`.
    pub fn new() -> World {
        let world = World::default();
        world.describe("https://id.example/.well-known/openid-configuration", "https://id.example");
        world.publish(&[(1, "k1")]);
        world
    }

    fn put(&self, url: &str, status: u16, body: &str) {
        let mut all = self.0.documents.lock().unwrap();
        all.retain(|it| it.0 != url);
        all.push((url.to_owned(), status, body.to_owned()));
    }

    fn describe(&self, at: &str, issuer: &str) {
        let text = format!(
            r#"{{"issuer":"{issuer}","jwks_uri":"https://id.example/keys",
            "introspection_endpoint":"https://id.example/introspect"}}"#
        );
        self.put(at, 200, &text);
    }

    fn publish(&self, keys: &[(u8, &str)]) {
        let all: Vec<_> = keys.iter().map(|(seed, id)| Signer::new(*seed).public(id)).collect();
        self.put("https://id.example/keys", 200, &format!(r#"{{"keys":[{}]}}"#, all.join(",")));
    }

    /// Whether it answers at all.
    pub fn down(&self, down: bool) {
        self.0.down.store(down, Ordering::Relaxed);
    }

    /// What was asked for since the last time.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.0.asked.lock().unwrap())
    }

    fn fetch(&self) -> Fetch {
        let world = self.clone();
        Box::new(move |ask| {
            let mut line = ask.url.strip_prefix("https://id.example").unwrap_or(ask.url).to_owned();
            if let (Some(form), Some(header)) = (ask.form, ask.authorization) {
                line = format!("{line} {} {}", form.reveal(), header.reveal());
            }
            world.0.asked.lock().unwrap().push(line);
            let slow = world.0.slow.load(Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(slow as u64));
            if world.0.down.load(Ordering::Relaxed) {
                return Err(Error::new(Kind::Network, "connection refused by 10.0.0.1"));
            }
            let all = world.0.documents.lock().unwrap();
            let found = all.iter().find(|it| it.0 == ask.url);
            let (status, body) = found.map_or((404, ""), |it| (it.1, &it.2));
            Ok(Answer { status, body: body.as_bytes().to_vec() })
        })
    }

    /// An issuer that asks this server.
    pub fn issuer(&self, address: &str) -> Issuer {
        self.made(address, None)
    }

    fn made(&self, address: &str, introspection: Option<Introspection>) -> Issuer {
        let expected = Expected {
            issuer: address.to_owned(),
            audiences: vec![canonical("https://jump.example/mcp")],
            groups_claim: "groups".to_owned(),
        };
        Issuer::new(expected, self.fetch(), introspection).unwrap()
    }

    /// So many seconds after the tests began.
    pub fn clock(after: u64) -> Clock {
        static START: OnceLock<Instant> = OnceLock::new();
        let start = *START.get_or_init(Instant::now);
        Clock { unix: NOW + after, steady: start + Duration::from_secs(after) }
    }
}

/// Good claims for two days, and more; what stands in `more` is not given twice.
pub fn claims(more: &str) -> String {
    let exp = if more.contains("\"exp\"") {
        String::new()
    } else {
        format!(r#","exp":{}"#, NOW + 172_800)
    };
    let more = if more.is_empty() { String::new() } else { format!(",{more}") };
    format!(
        r#"{{"iss":"https://id.example","aud":"https://jump.example/mcp","sub":"u1"{exp}{more}}}"#
    )
}

fn token(seed: u8, header: &str) -> String {
    Signer::new(seed).sign(header, &claims(""))
}

fn said(result: Result<Identity>) -> String {
    match result {
        Ok(who) => who.id,
        Err(error) => format!("{}: {error}", error.kind().word()),
    }
}

const UNREACHABLE: &str = "network: the issuer of tokens cannot be asked. Try again in a moment";

#[test]
fn keys_are_found_once_and_kept() {
    let world = World::new();
    let issuer = world.issuer("https://id.example");
    for after in [0, 1, 3599] {
        assert_eq!(said(issuer.identify(&token(1, HEADER), &World::clock(after))), "u1");
    }
    let oauth = "/.well-known/oauth-authorization-server";
    assert_eq!(world.asked(), [oauth, "/.well-known/openid-configuration", "/keys"]);
    let forged = said(issuer.identify(&token(2, HEADER), &World::clock(40)));
    assert_eq!(forged, "denied: the token's signature is wrong");
    assert!(world.asked().is_empty(), "a forger has the issuer asked");
    assert_eq!(said(issuer.identify(&token(1, HEADER), &World::clock(3600))), "u1");
    assert_eq!(world.asked().len(), 3);
    assert_eq!(issuer.probe().unwrap(), 1);
}

#[test]
fn an_issuer_with_a_path_has_three_places() {
    let all = places("https://id.example:8443/realms/a/");
    let expected = [
        "https://id.example:8443/.well-known/oauth-authorization-server/realms/a",
        "https://id.example:8443/.well-known/openid-configuration/realms/a",
        "https://id.example:8443/realms/a/.well-known/openid-configuration",
    ];
    assert_eq!(all, expected);
    assert_eq!(places("https://a/").len(), 2);
    let world = World::new();
    // Pages for people, and the document of another issuer, at the first two.
    let page = "<html>not here</html>";
    world.put("https://id.example/.well-known/oauth-authorization-server/realms/a", 200, page);
    world.describe("https://id.example/.well-known/openid-configuration/realms/a", "https://evil");
    let issuer = world.issuer("https://id.example/realms/a/");
    let error = issuer.probe().unwrap_err().to_string();
    assert!(
        error.contains("calls itself `https://evil`") && error.contains("last slash"),
        "{error}"
    );
    let last = "https://id.example/realms/a/.well-known/openid-configuration";
    world.describe(last, "https://id.example/realms/a/");
    assert_eq!(issuer.probe().unwrap(), 1);
    world.describe(last, "https://id.example/realms/a");
    assert!(issuer.probe().is_err());
}

#[test]
fn documents_that_lead_astray() {
    let at = "https://id.example/.well-known/oauth-authorization-server";
    for (document, why) in [
        ("[]", "there is no JSON object"),
        (r#"{"jwks_uri":"https://id.example/keys"}"#, "calls itself ``"),
        (r#"{"issuer":"https://id.example"}"#, "where its keys are"),
        (r#"{"issuer":"https://id.example","jwks_uri":"http://id.example/keys"}"#, "not an https"),
        (r#"{"issuer":"https://id.example","jwks_uri":"file:///etc/passwd"}"#, "not an https"),
        (r#"{"issuer":"https://id.example","jwks_uri":"https://u@id/keys"}"#, "not an https"),
        (r#"{"issuer":"https://id.example","jwks_uri":"https://id.example/none"}"#, "answered 404"),
    ] {
        let world = World::new();
        world.put("https://id.example/.well-known/openid-configuration", 500, "");
        world.put(at, 200, document);
        let error = world.issuer("https://id.example").probe().unwrap_err().to_string();
        assert!(error.contains(why), "{document}: {error}");
    }
    let world = World::new();
    world.put(at, 200, &" ".repeat(MAX_DOCUMENT + 1));
    assert!(world.issuer("https://id.example").probe().is_ok(), "the other place is right");
}

#[test]
fn addresses_of_issuers() {
    let made = |address: &str| {
        let (world, audiences) = (World::new(), Vec::new());
        let (issuer, groups_claim) = (address.to_owned(), String::new());
        Issuer::new(Expected { issuer, audiences, groups_claim }, world.fetch(), None)
    };
    for good in [
        "https://id/",
        "https://id:1/a",
        "http://localhost:9/",
        "http://[::1]:9",
        "http://127.0.0.1",
    ] {
        assert!(made(good).is_ok(), "{good}");
    }
    for bad in [
        "id",
        "http://id",
        "http://localhost.evil",
        "https://u:p@id",
        "https://id?a",
        "https://",
        "ftp://id",
    ] {
        assert!(made(bad).is_err(), "{bad}");
    }
}

#[test]
fn keys_that_rotate_are_asked_for_once_in_a_while() {
    let world = World::new();
    let issuer = world.issuer("https://id.example");
    let new = token(2, r#"{"alg":"EdDSA","kid":"k2"}"#);
    assert_eq!(said(issuer.identify(&token(1, HEADER), &World::clock(0))), "u1");
    world.asked();
    let unknown =
        "denied: the token is signed with a key that the issuer does not publish. Sign in again";
    assert_eq!(said(issuer.identify(&new, &World::clock(29))), unknown);
    assert!(world.asked().is_empty());
    assert_eq!(said(issuer.identify(&new, &World::clock(30))), unknown);
    assert_eq!(world.asked(), ["/keys"]);
    world.publish(&[(1, "k1"), (2, "k2")]);
    for after in 31..60 {
        assert_eq!(said(issuer.identify(&new, &World::clock(after))), unknown);
    }
    assert!(world.asked().is_empty());
    assert_eq!(said(issuer.identify(&new, &World::clock(60))), "u1");
    assert_eq!(said(issuer.identify(&token(1, HEADER), &World::clock(60))), "u1");
    assert_eq!(world.asked(), ["/keys"]);
    // A token that names no key, after the old ones are gone.
    world.publish(&[(3, "k3")]);
    assert_eq!(said(issuer.identify(&token(3, r#"{"alg":"EdDSA"}"#), &World::clock(100))), "u1");
    assert_eq!(said(issuer.identify(&token(1, HEADER), &World::clock(101))), unknown);
    let algorithm = token(3, r#"{"alg":"RS256","kid":"k3"}"#);
    assert_eq!(said(issuer.identify(&algorithm, &World::clock(101))), unknown);
}

#[test]
fn an_issuer_that_is_down() {
    let world = World::new();
    let issuer = world.issuer("https://id.example");
    let good = token(1, HEADER);
    world.down(true);
    assert_eq!(said(issuer.identify(&good, &World::clock(0))), UNREACHABLE);
    assert_eq!(said(issuer.identify(&good, &World::clock(9))), UNREACHABLE);
    assert_eq!(world.asked().len(), 1, "one place of a server that is down is enough");
    world.down(false);
    assert_eq!(said(issuer.identify(&good, &World::clock(10))), "u1");
    world.down(true);
    world.asked();
    // The old keys serve for a day; each half minute it is tried again.
    for after in [3610, 3611, 3639, 3640, 86_000] {
        assert_eq!(said(issuer.identify(&good, &World::clock(after))), "u1", "{after}");
    }
    assert_eq!(world.asked().len(), 3);
    // Whether an unknown key is new or made up cannot be told now.
    let new = token(2, r#"{"alg":"EdDSA","kid":"k2"}"#);
    assert_eq!(said(issuer.identify(&new, &World::clock(86_001))), UNREACHABLE);
    assert_eq!(said(issuer.identify(&good, &World::clock(86_410))), UNREACHABLE);
    // Keys that are none do not replace good ones.
    world.down(false);
    assert_eq!(said(issuer.identify(&good, &World::clock(86_421))), "u1");
    world.put("https://id.example/keys", 200, r#"{"keys":[]}"#);
    assert_eq!(said(issuer.identify(&good, &World::clock(91_000))), "u1");
}

#[test]
fn many_callers_ask_once_and_few_wait() {
    let world = World::new();
    let issuer = world.issuer("https://id.example");
    world.0.slow.store(100, Ordering::Relaxed);
    let good = token(1, HEADER);
    let all: Vec<String> = std::thread::scope(|scope| {
        let ask = || said(issuer.identify(&good, &World::clock(0)));
        let threads: Vec<_> = (0..12).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|it| it.join().unwrap()).collect()
    });
    assert_eq!(world.asked().len(), 3, "each document once");
    let signed_in = all.iter().filter(|it| *it == "u1").count();
    let busy = all.iter().filter(|it| it.starts_with("busy")).count();
    assert!(signed_in + busy == 12 && signed_in >= 5, "{all:?}");
    // While old keys are renewed nobody waits but the one who asks.
    world.0.slow.store(0, Ordering::Relaxed);
    assert_eq!(said(issuer.identify(&good, &World::clock(4000))), "u1");
}

#[test]
fn a_defect_while_asking_does_not_lock_everybody_out() {
    let (calls, world) = (AtomicUsize::new(0), World::new());
    let honest = world.fetch();
    let fetch: Fetch = Box::new(move |ask| match calls.fetch_add(1, Ordering::Relaxed) {
        0 => panic!("a defect"),
        _ => honest(ask),
    });
    let expected = world.issuer("https://id.example").expected;
    let issuer = Issuer::new(expected, fetch, None).unwrap();
    let ask = |after| said(issuer.identify(&token(1, HEADER), &World::clock(after)));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| ask(0))).is_err());
    assert_eq!(ask(10), "u1");
}

#[test]
fn opaque_tokens_are_asked_for() {
    let world = World::new();
    let introspection = || Some(Introspection::new("jump visor", &Secret::new("s:ß")));
    let issuer = world.made("https://id.example", introspection());
    let answer = |text: &str| world.put("https://id.example/introspect", 200, text);
    let ask = |token: &str, after| said(issuer.identify(token, &World::clock(after)));
    answer(&claims(r#""active":true,"username":"x""#));
    assert_eq!(ask("opaque&token=1", 0), "u1");
    let asked = world.asked();
    assert_eq!(
        asked.last().unwrap(),
        "/introspect token=opaque%26token%3D1&token_type_hint=access_token Basic anVtcCUyMHZpc29yOnMlM0ElQzMlOUY="
    );
    answer(r#"{"active":false}"#);
    assert_eq!(ask("opaque&token=1", 29), "u1");
    let gone = "denied: the issuer does not know the token any more. Sign in again";
    assert_eq!(ask("opaque&token=1", 30), gone);
    assert_eq!(ask("opaque&token=1", 31), gone);
    assert_eq!(world.asked().len(), 1);
    for (text, why) in [
        (r#"{"active":"true"}"#.to_owned(), "does not know"),
        (claims(""), "does not know"),
        (claims(r#""active":false,"active":true"#), "cannot be asked"),
        (claims(&format!(r#""active":true,"exp":{}"#, NOW - 100)), "is expired"),
        (claims(r#""active":true"#).replace("jump.example/mcp", "other"), "is meant for"),
        (claims(r#""active":true"#).replace("id.example", "other"), "is from"),
        ("<html>".to_owned(), "cannot be asked"),
    ] {
        answer(&text);
        let ended = ask(&format!("{} {}", text, world.asked().len()), 100);
        assert!(ended.contains(why), "{text}: {ended}");
    }
    world.put("https://id.example/introspect", 401, "");
    assert_eq!(ask("other", 100), UNREACHABLE);
    // Signed tokens never go there.
    world.asked();
    assert_eq!(ask(&token(1, HEADER), 100), "u1");
    assert!(world.asked().is_empty());
    let plain = world.issuer("https://id.example");
    assert!(said(plain.identify("opaque", &World::clock(0))).contains("not of the form"));
    for number in 0..600 {
        answer(&claims(r#""active":true"#));
        assert_eq!(ask(&format!("t{number}"), 200), "u1");
    }
}
