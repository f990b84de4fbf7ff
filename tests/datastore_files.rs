//! Files of datastores on the simulated host, over sockets: what breaks, lies or is called off while
//! a file is on its way leaves the old file as it was and nothing of the new one.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

use std::io;
use std::io::{Cursor, Read};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jumpvisor::audit::{Audit, Sink};
use jumpvisor::auth::principal::Principal;
use jumpvisor::error::{Error, Kind, Result};
use jumpvisor::files::Files;
use jumpvisor::hv::call::{Call, Cancel, Rights};
use jumpvisor::hv::fleet::{Fleet, Server};
use jumpvisor::hv::stores::{Browse, Stores};
use jumpvisor::metrics::Metrics;
use jumpvisor::sim::clock::Clock;
use jumpvisor::sim::http::{Answer, Request, Service};
use jumpvisor::sim::inventory::{Start, world};
use jumpvisor::sim::rules::Rules;
use jumpvisor::sim::serve::{self, Limits};
use jumpvisor::sim::service::Simulator;
use jumpvisor::text::json;
use jumpvisor::text::secret::Secret;
use jumpvisor::tools::Level;
use jumpvisor::tools::offer::Offer;
use jumpvisor::tools::run::{Caller, Gate, Outcome};
use jumpvisor::vim::version::Version;
use jumpvisor::vsphere::session::{Account, Session};
use jumpvisor::vsphere::wire::Wire;
use jumpvisor::vsphere::{Address, Defaults, Vsphere, nowhere};
use jumpvisor::web::client::{Client, Settings};
use jumpvisor::web::exchange::into_io;
use jumpvisor::web::tls::Trust;

/// The simulated host, with what was asked beside SOAP; and what it lies about.
struct Ear {
    host: Simulator,
    heard: Arc<Mutex<Vec<String>>>,
    lie: Lie,
}

#[derive(Clone, Copy, PartialEq)]
enum Lie {
    None,
    /// A file is there before its first byte has come.
    Early,
    /// Some of it is not kept.
    Short,
    /// A part begins elsewhere.
    Shifted,
    /// The file is another one each time.
    Changed,
}

impl Service for Ear {
    fn answer(&self, request: &mut Request) -> Answer {
        if request.path().starts_with("/folder") {
            let range = request.header("Range").unwrap_or("-");
            let line = format!("{} {} {range}", request.method, request.target);
            let mut heard = self.heard.lock().unwrap();
            heard.push(line);
            let count = heard.len();
            drop(heard);
            match (request.method, self.lie) {
                ("PUT", Lie::Early) => return Answer::empty(201),
                ("PUT", Lie::Short) => {
                    let mut bytes = Vec::new();
                    request.body.read_to_end(&mut bytes).unwrap();
                    let headers = request.headers.iter().filter(|it| it.0 != "content-length");
                    let headers: Vec<(String, String)> = headers.cloned().collect();
                    let mut body = Cursor::new(&bytes[..bytes.len() / 2]);
                    let (method, target) = (request.method, request.target);
                    let mut less = Request { method, target, headers: &headers, body: &mut body };
                    return self.host.answer(&mut less);
                }
                ("GET", Lie::Shifted) if range != "-" => {
                    return Answer::of(206, "", b"other".to_vec())
                        .header("Content-Range", "bytes 0-4/300000");
                }
                ("GET", Lie::Changed) => {
                    let answer = self.host.answer(request);
                    return answer.header("ETag", format!("\"{count}\""));
                }
                _ => {}
            }
        }
        self.host.answer(request)
    }
}

/// A client and its server, and a folder for local files.
struct Room {
    gate: Gate,
    heard: Arc<Mutex<Vec<String>>>,
    folder: PathBuf,
    server: serve::Server,
}

impl Room {
    fn new(name: &str, rules: &str) -> Room {
        Room::of(name, rules, Lie::None, None)
    }

    /// On a vCenter, its datacenter is called so.
    fn of(name: &str, rules: &str, lie: Lie, datacenter: Option<&str>) -> Room {
        let (version, now) = (Version::parse("8.0.3.0").unwrap(), 1_768_464_000_000);
        let vcenter = datacenter.is_some();
        let mut world = world(&Start { vcenter, machines: None, version, now }).unwrap();
        if let Some(name) = datacenter {
            let id = world.all("Datacenter").next().unwrap().0.to_owned();
            world.plain_mut(&id).unwrap().set("name", name);
        }
        let host = Simulator::new(world, Clock::jumping(now), Rules::parse(rules).unwrap());
        let heard = Arc::default();
        let ear = Arc::new(Ear { host, heard: Arc::clone(&heard), lie });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = serve::Server::start(listener, None, ear, Limits::default()).unwrap();
        let settings = Settings {
            host: "127.0.0.1".to_owned(),
            port: server.address().port(),
            tls: false,
            trust: Trust::Insecure,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            proxy: None,
            no_proxy: String::new(),
        };
        let account = Account {
            user: "root".to_owned(),
            password: Secret::new("secret"),
            silence: Duration::from_secs(30),
            idle: Duration::from_secs(600),
        };
        let wire = Wire::new(Box::new(Client::new(settings).unwrap()));
        let address = Address {
            shown: "sim".into(),
            host: "127.0.0.1".into(),
            port: 443,
            proxied: true,
            kind: "esxi",
        };
        let session = Session::new(wire, account);
        let vsphere =
            Vsphere::new(session, Defaults::default(), address, Box::new(|| None), nowhere());
        let folder = std::env::temp_dir().join(format!("jv-stores-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let own = Server { name: "sim".to_owned(), host: Box::new(vsphere) };
        let gate = Gate {
            files: Files::below(vec![folder.clone()]),
            fleet: Fleet::new(vec![own]),
            offer: Offer::everything(),
            audit: Audit::new(Sink::Nowhere, false),
            metrics: Arc::new(Metrics::new()),
            consoles: jumpvisor::serial::hub::Hub::default(),
            approval: jumpvisor::tools::approval::Approval::off(),
            call_timeout: Duration::from_secs(60),
            cap: 60_000,
        };
        Room { gate, heard, folder, server }
    }

    fn call(&self, name: &str, words: &[&str]) -> std::result::Result<String, Error> {
        let pair = |word: &&str| {
            let (key, value) = word.split_once('=').unwrap();
            (key.to_owned(), json::text(value))
        };
        let words = words.iter().map(pair).collect();
        let cancel = Cancel::default();
        let caller = Caller::new(Principal::limited("t", Level::Vm)).cancelled_by(cancel);
        match self.gate.call(name, words, caller) {
            Outcome::Answer(it) => Ok(it.text),
            Outcome::Asks { question, .. } => panic!("{question}"),
            Outcome::Failed { error, .. } | Outcome::Unknown(error) => Err(error),
        }
    }

    fn stores(&self) -> &dyn Stores {
        self.gate.fleet.server(None).unwrap().host.stores().unwrap()
    }

    /// Writes a file without the tool.
    fn write(
        &self,
        call: &Call,
        path: &str,
        size: Option<u64>,
        body: &mut dyn Read,
    ) -> Result<Option<String>> {
        let slot = self.stores().slot(&reading(), Some("nas01"), path, true).unwrap();
        self.stores().write(call, &slot, size, body)
    }

    /// The files in `up`, with their sizes.
    fn up(&self) -> Vec<(String, i64)> {
        let what =
            Browse { store: "nas01", path: "up", recursive: true, pattern: None, disks: false };
        let found = self.stores().browse(&reading(), &what).unwrap_or_default();
        found.into_iter().map(|it| (it.path, it.size_bytes.unwrap_or(-1))).collect()
    }

    fn content(&self, path: &str) -> Vec<u8> {
        let mut stored = self.stores().read(&reading(), Some("nas01"), path).unwrap();
        let mut bytes = Vec::new();
        (stored.open)(0).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, stored.size);
        bytes
    }

    fn heard(&self, method: &str) -> Vec<String> {
        let heard = std::mem::take(&mut *self.heard.lock().unwrap());
        heard.into_iter().filter(|it| it.starts_with(method)).collect()
    }

    fn local(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.gate.fleet.server(None).unwrap().host.close();
        self.server.stop();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn reading() -> Call {
    Call::new(Rights::ReadOnly)
}

fn changing() -> Call {
    Call::new(Rights::Change)
}

/// What looks like nothing else; the simulator keeps all of a file up to 1 MB.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(size).collect()
}

/// Gives so many bytes, then does something else.
struct Then<F>(Cursor<Vec<u8>>, F);

impl<F: FnMut() -> io::Result<usize>> Read for Then<F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.0.read(into)? {
            0 => (self.1)(),
            got => Ok(got),
        }
    }
}

const ODD: &str = "up/50% + #1 & ?é[x]/ü ß;=+%2f.bin";

#[test]
fn odd_names_and_noise_come_back_as_they_were() {
    for (name, datacenter) in [("esx", None), ("vc", Some("R&D 50%25+é"))] {
        let room = Room::of(name, "[]", Lie::None, datacenter);
        let bytes = noise(900_000);
        std::fs::write(room.local("ö #%.bin"), &bytes).unwrap();
        let from = format!("local_path={}", room.local("ö #%.bin"));
        let path = format!("remote_path={ODD}");
        let said = room.call("upload_to_datastore", &["datastore=nas01", &path, &from]).unwrap();
        assert!(said.contains(", 900000 bytes, SHA-256 "), "{said}");
        let moved = room.gate.fleet.server(None).unwrap().host.status();
        assert!((900_000..1_000_000).contains(&moved.bytes_sent), "{}", moved.bytes_sent);
        let asked = room.heard("PUT").concat();
        let center = asked.contains("?dcPath=R%2526D%2050%2525%2B%C3%A9&dsName=nas01 ");
        assert_eq!(center, datacenter.is_some(), "{asked}");
        let to = format!("save_to={}", room.local("back"));
        let path = format!("path={ODD}");
        let back = room.call("download_from_datastore", &["datastore=nas01", &path, &to]).unwrap();
        assert_eq!(said.rsplit(' ').next(), back.rsplit(' ').next());
        assert!(std::fs::read(room.local("back")).unwrap() == bytes);
        // In chunks, where nobody knows the size; the folder is made of the file's own name.
        room.write(&changing(), ODD, None, &mut &bytes[..1000]).unwrap();
        assert!(room.content(ODD) == bytes[..1000]);
        let into = ["datastore=nas01", "remote_path=up/", &from];
        room.call("upload_to_datastore", &into).unwrap();
        assert!(room.up().contains(&("up/ö #%.bin".to_owned(), 900_000)), "{:?}", room.up());
    }
}

/// What breaks an upload, and what is said.
fn broken(name: &str, rules: &str, lie: Lie, said: &str) {
    for size in [Some(3_000_000), None] {
        let room = Room::of(name, rules, lie, None);
        let bytes = noise(3_000_000);
        let error = room.write(&changing(), "up/new", size, &mut &bytes[..]).unwrap_err();
        assert!(error.to_string().contains(said), "{name}: {error}");
        assert_eq!(room.up(), [], "{name}");
    }
}

#[test]
fn a_host_that_refuses_cuts_or_lies_leaves_nothing() {
    let rule = |what: &str| format!(r#"[{{"path": "/folder/up/new.*", "nth": 1, {what}}}]"#);
    broken(
        "403",
        &rule(r#""status": 403"#),
        Lie::None,
        "may not write `up/new` on `nas01` (HTTP 403)",
    );
    broken("500", &rule(r#""status": 500"#), Lie::None, "(HTTP 500). It may be locked");
    broken("cut", &rule(r#""truncate": 70000"#), Lie::None, "Nothing of it is kept");
    broken("dead", &rule(r#""drop": 0"#), Lie::None, "Nothing of it is kept");
    broken("early", "[]", Lie::Early, " bytes were sent, and ");
    broken("short", "[]", Lie::Short, "and the server has 1500000 of them");
}

#[test]
fn what_was_there_stays_until_the_new_one_is_whole() {
    let rules = r#"[{"path": "/folder/up/new.*", "nth": 3, "status": 500}]"#;
    let room = Room::new("old", rules);
    room.write(&changing(), "up/new", Some(3), &mut &b"old"[..]).unwrap();
    let old = [("up/new".to_owned(), 3)];
    let bytes = noise(3_000_000);
    // The host refuses in the middle.
    let refused = room.write(&changing(), "up/new", Some(3_000_000), &mut &bytes[..]);
    assert_eq!(refused.unwrap_err().kind(), Kind::Busy);
    assert_eq!(room.up(), old);
    // The source fails, ends early, or goes on behind its end.
    let gone = || Err(into_io(Error::new(Kind::Network, "the source is gone")));
    let mut fails = Then(Cursor::new(noise(500_000)), gone);
    let error = room.write(&changing(), "up/new", Some(3_000_000), &mut fails).unwrap_err();
    assert!(error.to_string().contains("the source is gone"), "{error}");
    let error = room.write(&changing(), "up/new", Some(3_000_001), &mut &bytes[..]).unwrap_err();
    assert!(error.to_string().contains("ended 1 bytes early"), "{error}");
    let error = room.write(&changing(), "up/new", Some(2_999_999), &mut &bytes[..]).unwrap_err();
    assert!(error.to_string().contains("2999999 bytes were sent, and that is not all"), "{error}");
    // Somebody calls it off.
    let cancel = Cancel::default();
    let call = changing().cancelled_by(cancel.clone());
    let mut endless = Then(Cursor::new(noise(300_000)), || {
        cancel.cancel();
        Ok(1)
    });
    let error = room.write(&call, "up/new", None, &mut endless).unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled, "{error}");
    // Who may only read.
    let denied = room.write(&reading(), "up/new", Some(3), &mut &b"new"[..]).unwrap_err();
    assert_eq!(denied.kind(), Kind::Denied, "{denied}");
    assert_eq!((room.up(), room.content("up/new")), (old.to_vec(), b"old".to_vec()));
    let left = room.write(&changing(), "up/new", Some(4), &mut &b"newer"[..4]).unwrap();
    assert_eq!((left, room.content("up/new")), (None, b"newe".to_vec()));
}

#[test]
fn a_download_that_breaks_off_goes_on_where_it_was() {
    let rules = r#"[{"path": "/folder/up/new", "nth": 2, "drop": 100000},
        {"path": "/folder/up/new", "nth": 3, "drop": 50000},
        {"path": "/folder/up/dead", "nth": 2, "drop": 1000},
        {"path": "/folder/up/dead", "every": 1, "drop": 0}]"#;
    let room = Room::new("ranges", rules);
    let bytes = noise(300_000);
    room.write(&changing(), "up/new", Some(300_000), &mut &bytes[..]).unwrap();
    room.heard("");
    let to = format!("save_to={}", room.local("new"));
    let words = ["datastore=nas01", "path=up/new", &to];
    room.call("download_from_datastore", &words).unwrap();
    assert!(std::fs::read(room.local("new")).unwrap() == bytes);
    let ranges: Vec<String> =
        room.heard("GET").iter().map(|it| it.rsplit(' ').next().unwrap().to_owned()).collect();
    assert_eq!(ranges, ["-", "bytes=100000-", "bytes=150000-"]);
    let exists = room.call("download_from_datastore", &words).unwrap_err();
    assert!(exists.to_string().contains("overwrite=true"), "{exists}");
    let zeros = format!("sha256={}", "0".repeat(64));
    let again = [&words[..], &["overwrite=true", &zeros]].concat();
    let wrong = room.call("download_from_datastore", &again).unwrap_err();
    assert!(wrong.to_string().contains("nothing of it is kept"), "{wrong}");
    assert!(std::fs::read(room.local("new")).unwrap() == bytes);
    // One that does not come back leaves nothing here.
    room.write(&changing(), "up/dead", Some(300_000), &mut &bytes[..]).unwrap();
    let to = format!("save_to={}", room.local("dead"));
    room.call("download_from_datastore", &["datastore=nas01", "path=up/dead", &to]).unwrap_err();
    assert_eq!(std::fs::read_dir(&room.folder).unwrap().count(), 1);
}

#[test]
fn a_part_that_is_another_one_is_refused() {
    for (lie, said) in [
        (Lie::Shifted, "another part of `up/new` than from byte 100000 on"),
        (Lie::Changed, "`up/new` was changed while it was read"),
    ] {
        let rules = r#"[{"path": "/folder/up/new", "nth": 2, "drop": 100000}]"#;
        let room = Room::of("parts", rules, lie, None);
        room.write(&changing(), "up/new", Some(300_000), &mut &noise(300_000)[..]).unwrap();
        let to = format!("save_to={}", room.local("new"));
        let words = ["datastore=nas01", "path=up/new", &to];
        let error = room.call("download_from_datastore", &words).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(std::fs::read_dir(&room.folder).unwrap().count(), 0);
    }
}
