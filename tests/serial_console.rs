//! The tools of serial consoles against lines that say anything: every byte, without end, or nothing.
//!
//! The host is pretended, the lines are real sockets of this machine. No test measures time; each
//! wait ends by what comes, or has a bound of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/only_ports.rs"]
mod only_ports;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jumpvisor::audit::{Audit, Sink};
use jumpvisor::auth::principal::Principal;
use jumpvisor::error::{Kind, Result};
use jumpvisor::files::Files;
use jumpvisor::hv::call::{Call, Cancel, Rights};
use jumpvisor::hv::fleet::{Fleet, Server};
use jumpvisor::hv::model::MachineRef;
use jumpvisor::hv::serials::{Port, Serials, Way};
use jumpvisor::metrics::Metrics;
use jumpvisor::serial::hub::socket_path;
use jumpvisor::serial::hub::{Hub, Settings};
use jumpvisor::text::base64;
use jumpvisor::text::json;
use jumpvisor::text::json::{Object, Value};
use jumpvisor::tools::offer::Offer;
use jumpvisor::tools::run::{Caller, Gate, Outcome};
use jumpvisor::tools::{Level, resources, serial_line};

use only_ports::OnlyPorts;

struct Rack(Vec<Port>);

impl Serials for Rack {
    fn hosts(&self, _: &Call) -> Result<Vec<jumpvisor::hv::serials::Home>> {
        Ok(Vec::new())
    }

    fn ports(&self, _: &Call, machine: Option<&str>) -> Result<Vec<Port>> {
        let fits = |it: &&Port| machine.is_none_or(|name| it.machine.name == name);
        Ok(self.0.iter().filter(fits).cloned().collect())
    }
}

/// A machine of this name whose raw line is at this port of this machine.
fn port(name: &str, port: u16) -> Port {
    let id = format!("id-{name}");
    Port {
        machine: MachineRef { id, name: name.to_owned(), path: format!("dc/vm/{name}") },
        uuids: Vec::new(),
        label: "Serial port 1".to_owned(),
        network: true,
        way: Way::Dial { host: "127.0.0.1".to_owned(), port, telnet: false, tls: false },
        address: format!("tcp://127.0.0.1:{port}"),
        closed: false,
        trouble: None,
        powered: true,
    }
}

fn gate(ports: Vec<Port>, settings: Settings) -> Arc<Gate> {
    Arc::new(Gate {
        files: Files::anywhere(),
        fleet: Fleet::new(vec![Server {
            name: "lab".to_owned(),
            host: Box::new(OnlyPorts(Rack(ports))),
        }]),
        offer: Offer::everything(),
        audit: Audit::new(Sink::Nowhere, false),
        metrics: Arc::new(Metrics::new()),
        consoles: Hub::new(settings),
        approval: jumpvisor::tools::approval::Approval::off(),
        call_timeout: Duration::from_secs(30),
        cap: 60_000,
    })
}

/// A gate to one machine `vm` whose line is served so.
fn served(serve: impl FnOnce(TcpStream) + Send + 'static) -> Arc<Gate> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap().port();
    thread::spawn(move || serve(listener.accept().unwrap().0));
    gate(vec![port("vm", at)], Settings::default())
}

fn call_by(gate: &Gate, user: &str, level: Level, tool: &str, args: &str) -> Result<Object> {
    let Ok(Value::Object(args)) = json::parse(args) else { panic!("{args}") };
    let caller = Caller::new(Principal::limited(user, level));
    match gate.call(tool, args, caller) {
        Outcome::Answer(shown) => {
            let size = shown.text.len() + json::write_object(&shown.data).len();
            assert!(size <= 60_000, "{tool}: {size}");
            Ok(shown.data)
        }
        Outcome::Asks { question, .. } => panic!("{question}"),
        Outcome::Failed { error, .. } => Err(error),
        Outcome::Unknown(error) => panic!("{error}"),
    }
}

fn call(gate: &Gate, tool: &str, args: &str) -> Result<Object> {
    call_by(gate, "alice", Level::Admin, tool, args)
}

fn text<'a>(object: &'a Object, name: &str) -> &'a str {
    json::get_text(object, name).unwrap_or_else(|| panic!("{}", json::write_object(object)))
}

fn int(object: &Object, name: &str) -> i64 {
    object.get(name).and_then(json::as_int).unwrap()
}

#[test]
fn every_byte_comes_and_goes_as_it_is() {
    let all: Vec<u8> = (0..=255).collect();
    let (sent, said) = (all.clone(), std::sync::mpsc::channel());
    let gate = served(move |mut line| {
        line.write_all(&sent).unwrap();
        let mut typed = [0; 8];
        line.read_exact(&mut typed).unwrap();
        said.0.send(typed).unwrap();
        line.write_all(b"\r\nbye").unwrap();
        thread::park();
    });
    call(&gate, "expect_serial", r#"{"name":"vm","pattern":"~"}"#).unwrap();
    let mut raw = Vec::new();
    while raw.len() < 256 {
        let args = format!(
            r#"{{"name":"vm","raw":true,"since":{},"wait_seconds":20,"max_bytes":99}}"#,
            raw.len()
        );
        let it = call(&gate, "read_serial", &args).unwrap();
        assert_eq!((int(&it, "from"), int(&it, "dropped")), (raw.len() as i64, 0));
        raw.extend(base64::decode(text(&it, "base64")).unwrap());
        assert_eq!(int(&it, "next"), raw.len() as i64);
    }
    assert_eq!(raw, all);
    let it = call(&gate, "read_serial", r#"{"name":"vm","since":0}"#).unwrap();
    assert!(text(&it, "text").starts_with("^@^A^B^C^D^E^F^"), "{}", text(&it, "text"));
    assert!(!text(&it, "text").contains('\u{1b}'));
    let typed = r#"{"name":"vm","text":"<ctrl-c>ü<lt>\n<tab>","enter":"crlf","newline":false}"#;
    assert_eq!(int(&call(&gate, "write_serial", typed).unwrap(), "bytes"), 7);
    assert!(
        call(&gate, "write_serial", r#"{"name":"vm","text":"<break>"}"#)
            .unwrap_err()
            .to_string()
            .contains("carries no break")
    );
    call(&gate, "expect_serial", r#"{"name":"vm","send":"x","newline":false,"pattern":"bye"}"#)
        .unwrap();
    assert_eq!(&said.1.recv().unwrap(), b"\x03\xc3\xbc<\r\n\tx");
}

#[test]
fn a_console_that_prints_for_ever_costs_no_more_than_its_bounds() {
    let gate = served(|mut line| while line.write_all(&[b'\xff'; 4000]).is_ok() {});
    let args = r#"{"name":"vm","pattern":"never","timeout_seconds":1}"#;
    let it = call(&gate, "expect_serial", args).unwrap();
    assert_eq!(it.get("matched").map(json::write).as_deref(), Some("false"));
    assert!(!text(&it, "text").is_empty());
    while call(&gate, "read_serial", r#"{"name":"vm","since":0,"max_bytes":1}"#)
        .is_ok_and(|it| int(&it, "dropped") == 0)
    {}
    let it = call(&gate, "read_serial", r#"{"name":"vm","since":0,"max_bytes":1048576}"#).unwrap();
    assert!(int(&it, "dropped") > 0 && int(&it, "from") == int(&it, "dropped"));
    let characters = text(&it, "text").replace('\n', "").chars().count() as i64;
    assert_eq!(int(&it, "next") - int(&it, "from"), characters, "what has no room is not skipped");
    for console in gate.consoles.all() {
        assert!(console.position - console.start <= 256 << 10);
    }
    gate.consoles.close();
}

#[test]
fn one_writes_at_a_time_and_others_are_told_who() {
    let gate = served(|mut line| while line.read(&mut [0; 99]).is_ok_and(|it| it > 0) {});
    let typed = r#"{"name":"vm","text":"x"}"#;
    call(&gate, "write_serial", typed).unwrap();
    let error = call_by(&gate, "bob", Level::Admin, "write_serial", typed).unwrap_err();
    assert_eq!(error.kind(), Kind::Busy);
    assert!(error.to_string().contains("`alice` is writing"), "{error}");
    call(&gate, "write_serial", typed).unwrap();
    let list = || {
        let args = r#"{"response_format":"detailed"}"#;
        json::write_object(&call(&gate, "list_serial_consoles", args).unwrap())
    };
    // What is typed is counted once the line has fetched it.
    assert!((0..500).any(|_| {
        thread::sleep(Duration::from_millis(10));
        list().contains(r#""bytes_out":4"#)
    }));
    assert!(list().contains(r#""writer":"alice""#), "{}", list());
}

#[test]
fn a_level_is_asked_for_to_read_and_a_higher_one_to_write() {
    let gate = served(|_| thread::park());
    let denied = |level, tool, args| call_by(&gate, "eve", level, tool, args).unwrap_err().kind();
    assert_eq!(denied(Level::Read, "read_serial", r#"{"name":"vm"}"#), Kind::Denied);
    assert_eq!(denied(Level::Host, "write_serial", r#"{"name":"vm","text":"x"}"#), Kind::Denied);
    assert_eq!(
        denied(Level::Host, "expect_serial", r#"{"name":"vm","pattern":"x"}"#),
        Kind::Denied
    );
    let read = |level| {
        let who = Principal::limited("eve", level);
        let mut noted = gate.noted(&who, "resources/read", json::Object::new());
        resources::read(&gate, &Call::new(Rights::ReadOnly), &who, "serial://vm", &mut noted)
            .map_err(|it| it.kind())
    };
    assert_eq!(read(Level::Read), Err(Kind::Denied));
    assert!(read(Level::Power).unwrap().contains(r#""state":"connected""#));
}

#[test]
fn names_may_be_anything() {
    let name = "b\u{fc}ro 100%/[x] #1 'q'";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        listener.accept().unwrap().0.write_all(b"hello").unwrap();
        thread::park();
    });
    let gate = gate(vec![port(name, at)], Settings::default());
    let uri = "esxi://lab/serial/b%C3%BCro%20100%25%2F%5Bx%5D%20%231%20%27q%27";
    let (who, reads) = (Principal::local("ann"), Call::new(Rights::ReadOnly));
    let mut noted = gate.noted(&who, "resources/read", json::Object::new());
    let text = resources::read(&gate, &reads, &who, uri, &mut noted).unwrap();
    assert!(text.contains(r#""text":"hello""#), "{text}");
    let list = json::write_object(&call(&gate, "list_serial_consoles", "{}").unwrap());
    let quoted = r"jumpvisor console 'büro 100%/[x] #1 '\\''q'\\'''";
    assert!(list.contains(quoted), "{list}");
}

#[test]
fn waiting_ends_at_once_when_the_caller_does_not_want_it_any_more() {
    let gate = served(|_| thread::park());
    let (cancel, other) = (Cancel::default(), gate.clone());
    let user = "alice".to_owned();
    let caller = Caller::local(&user).cancelled_by(cancel.clone());
    let waiting = thread::spawn(move || {
        let Ok(Value::Object(args)) =
            json::parse(r#"{"name":"vm","pattern":"x","timeout_seconds":86400}"#)
        else {
            panic!()
        };
        matches!(other.call("expect_serial", args, caller),
            Outcome::Failed { error, .. } if error.kind() == Kind::Cancelled)
    });
    while gate.consoles.all().is_empty() {
        thread::yield_now();
    }
    cancel.cancel();
    assert!(waiting.join().unwrap());
}

#[test]
fn what_cannot_be_reached_says_why() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut off = port("off", free);
    (off.closed, off.trouble) = (true, Some("the VM is off".to_owned()));
    let mut away = port("away", free);
    away.way = Way::Concentrator { proxy: "telnet://c:1".to_owned(), word: "w".to_owned() };
    let second = Port { label: "Serial port 2".to_owned(), ..port("two", free) };
    let gate =
        gate(vec![port("vm", free), off, away, port("two", free), second], Settings::default());
    for (name, kind, said) in [
        ("vm", Kind::Network, "is not connected"),
        ("off", Kind::Conflict, "the VM is off"),
        ("away", Kind::Unsupported, "concentrator telnet://c:1"),
        ("two", Kind::Conflict, "Serial port 1, Serial port 2"),
        ("none", Kind::NotFound, "has no serial port"),
    ] {
        let args = format!(r#"{{"name":"{name}","text":"x"}}"#);
        let error = call(&gate, "write_serial", &args).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
    let it = call(&gate, "read_serial", r#"{"name":"vm"}"#).unwrap();
    assert!(text(&it, "state").starts_with("lost: "), "{}", text(&it, "state"));
}

#[test]
fn a_console_that_another_process_holds_is_reached_by_its_socket() {
    let folder = std::env::temp_dir().join(format!("jumpvisor-serial-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let settings = Settings { sockets: Some(folder.clone()), ..Settings::default() };
    // Nobody listens where the host would.
    let at = port("vm", 1);
    let socket = UnixListener::bind(socket_path(&folder, &serial_line::about("lab", &at))).unwrap();
    thread::spawn(move || {
        for line in socket.incoming() {
            let mut line = line.unwrap();
            thread::spawn(move || {
                let _ = line.write_all(b"from the daemon");
                let _ = line.read(&mut [0; 9]);
            });
        }
    });
    let gate = gate(vec![at], settings);
    let it = call(&gate, "expect_serial", r#"{"name":"vm","pattern":"daemon"}"#).unwrap();
    assert_eq!(text(&it, "text"), "from the daemon");
    gate.consoles.close();
    std::fs::remove_dir_all(&folder).unwrap();
}
