//! Guests of the simulated servers, where a transcript cannot look: local files, what is cancelled,
//! and who was asked with which headers.

use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jumpvisor::audit::{Audit, Sink};
use jumpvisor::error::{Error, Kind, Result};
use jumpvisor::files::Files;
use jumpvisor::hv::call::Cancel;
use jumpvisor::hv::fleet::{Fleet, Server};
use jumpvisor::metrics::Metrics;
use jumpvisor::sim::http::Local;
use jumpvisor::text::secret::Secret;
use jumpvisor::tools::offer::Offer;
use jumpvisor::tools::run::Gate;
use jumpvisor::vsphere::session::{Account, Session};
use jumpvisor::vsphere::wire::Wire;
use jumpvisor::vsphere::{Address, Defaults, Elsewhere, Vsphere};
use jumpvisor::web::exchange::{Exchange, Request, Response};
use jumpvisor::web::tls::Trust;

use crate::rig::{tool, tool_by};

const LOGIN: [&str; 3] = ["name=web01", "username=ops", "password=ops"];

/// The simulated server, and what was asked of whom in the guest and beside SOAP.
struct Ear {
    behind: Local,
    whom: &'static str,
    heard: Arc<Mutex<Vec<String>>>,
    odd: Odd,
}

/// What is unusual about a server.
#[derive(Clone, Copy, Default)]
struct Odd {
    /// The guest knows no process any more, as after a restart of its agent.
    forgetful: bool,
    /// One word of its answers is another.
    twist: Option<(&'static str, &'static str)>,
    /// The ESXi behind it shows a certificate that is not its own.
    impostor: bool,
}

const NO_PROCESSES: &str = "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>\
    <ListProcessesInGuestResponse xmlns=\"urn:vim25\"/></s:Body></s:Envelope>";

impl Exchange for Ear {
    fn exchange(&self, request: &Request) -> Result<Response> {
        if request.path.starts_with("/guestFile") {
            let names: Vec<&str> = request.headers.iter().map(|(name, _)| *name).collect();
            let line = format!("{} {} {}", self.whom, request.method, names.join(","));
            self.heard.lock().unwrap().push(line);
        }
        let body = String::from_utf8_lossy(request.body);
        if let Some((before, _)) = body.split_once("Guest xmlns") {
            let method = before.rsplit('<').next().unwrap_or_default().to_owned();
            if method == "ListProcessesIn" && self.odd.forgetful {
                let answer = Box::new(std::io::Cursor::new(NO_PROCESSES));
                return Ok(Response::new(200, Vec::new(), answer));
            }
            self.heard.lock().unwrap().push(method);
        }
        let mut answer = self.behind.exchange(request)?;
        if let Some((from, to)) = self.odd.twist {
            let mut text = String::new();
            answer.body.read_to_string(&mut text).unwrap();
            answer.body = Box::new(std::io::Cursor::new(text.replace(from, to)));
        }
        Ok(answer)
    }
}

/// A gate whose files are below a folder of its own.
struct Room {
    gate: Arc<Gate>,
    heard: Arc<Mutex<Vec<String>>>,
    folder: PathBuf,
}

impl Room {
    fn new(name: &str, vcenter: bool, offer: Offer) -> Room {
        Room::of(name, vcenter, offer, Odd::default())
    }

    fn of(name: &str, vcenter: bool, offer: Offer, odd: Odd) -> Room {
        let settings = jumpvisor::sim::Settings {
            vcenter,
            clock: Some("2026-01-15T08:00:00Z".to_owned()),
            ..jumpvisor::sim::Settings::default()
        };
        let service = jumpvisor::sim::open(settings).unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let account = Account {
            user: "root".into(),
            password: Secret::new("secret"),
            silence: Duration::from_secs(60),
            idle: Duration::from_secs(600),
        };
        let ear = move |whom, heard: &Arc<Mutex<Vec<String>>>, service| {
            Box::new(Ear { behind: Local(service), whom, heard: heard.clone(), odd })
        };
        let wire = Wire::new(ear("own", &heard, service.clone()));
        let address = Address {
            shown: "sim".into(),
            host: "vc.example".into(),
            port: 443,
            proxied: true,
            kind: "vcenter",
        };
        let log = heard.clone();
        let reach = move |it: &Elsewhere| -> Result<Box<dyn Exchange>> {
            let Trust::Fingerprint(digest) = it.trust else { panic!("{:?}", it.trust) };
            let digest: String = digest[..4].iter().map(|it| format!("{it:02x}")).collect();
            log.lock().unwrap().push(format!("reach {}:{} {digest}", it.host, it.port));
            if odd.impostor {
                let said = "the certificate is not the expected one";
                return Err(Error::new(Kind::Network, said).hint("Set …_FINGERPRINT to another"));
            }
            Ok(ear("esxi", &log, service.clone()))
        };
        let session = Session::new(wire, account);
        let (defaults, seen) = (Defaults::default(), Box::new(|| None));
        let host = Vsphere::new(session, defaults, address, seen, Box::new(reach));
        let folder = std::env::temp_dir().join(format!("jv-guest-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let gate = Arc::new(Gate {
            files: Files::below(vec![folder.clone()]),
            fleet: Fleet::new(vec![Server { name: "sim".to_owned(), host: Box::new(host) }]),
            offer,
            audit: Audit::new(Sink::Nowhere, false),
            metrics: Arc::new(Metrics::new()),
            consoles: jumpvisor::serial::hub::Hub::default(),
            approval: jumpvisor::tools::approval::Approval::off(),
            call_timeout: Duration::from_secs(60),
            cap: 60_000,
        });
        Room { gate, heard, folder }
    }

    fn call(&self, name: &str, words: &[&str]) -> std::result::Result<String, Error> {
        tool(&self.gate, name, &[&LOGIN, words].concat()).map(|told| told.text)
    }

    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn a_file_goes_in_and_comes_out_as_it_is_and_stays_below_the_folders() {
    let room = Room::new("whole", false, Offer::everything());
    let bytes: Vec<u8> = (0..500_000_u32).map(|it| (it % 251) as u8).collect();
    std::fs::write(room.folder.join("in"), &bytes).unwrap();
    let said = room.call("write_guest_file", &["guest_path=/tmp/big", "local_path=in"]).unwrap();
    assert!(said.contains("wrote 500000 bytes"), "{said}");
    let save = ["guest_path=/tmp/big", "save_to=out"];
    let said = room.call("read_guest_file", &save).unwrap();
    assert!(said.contains("saved `/tmp/big` to `out`, 500000 bytes, SHA-256 "), "{said}");
    assert_eq!(std::fs::read(room.folder.join("out")).unwrap(), bytes);
    // No cookie: the URL's token is all that a transfer takes.
    let heard = room.heard();
    let heard: Vec<&String> = heard.iter().filter(|it| it.starts_with("own")).collect();
    assert_eq!(heard, ["own PUT Content-Type", "own GET "]);

    let again = room.call("read_guest_file", &save).unwrap_err();
    assert_eq!(again.kind(), Kind::Conflict);
    assert!(room.call("read_guest_file", &[&save[..], &["overwrite=true"]].concat()).is_ok());
    for bad in ["save_to=../out", "save_to=/etc/out"] {
        let error = room.call("read_guest_file", &["guest_path=/tmp/big", bad]).unwrap_err();
        assert_eq!(error.kind(), Kind::Denied, "{error}");
    }
    for bad in ["local_path=../in", "local_path=/etc/passwd"] {
        let error = room.call("write_guest_file", &["guest_path=/tmp/x", bad]).unwrap_err();
        assert_eq!(error.kind(), Kind::Denied, "{error}");
    }
    // What failed leaves nothing behind, not even half of it.
    let lost = room.call("read_guest_file", &["guest_path=/none", "save_to=lost"]);
    assert_eq!(lost.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(std::fs::read_dir(&room.folder).unwrap().count(), 2);
}

#[test]
fn a_large_file_is_shown_in_parts_that_add_up() {
    let room = Room::new("parts", false, Offer::everything());
    let text: String = (0..20_000).map(|it| format!("Zeile {it} „ä\"\n")).collect();
    std::fs::write(room.folder.join("in"), &text).unwrap();
    room.call("write_guest_file", &["guest_path=/tmp/log", "local_path=in"]).unwrap();
    let (mut whole, mut offset) = (String::new(), 0_usize);
    for _ in 0..100 {
        let from = format!("offset={offset}");
        let words = [&LOGIN[..], &["guest_path=/tmp/log", &from]].concat();
        let told = tool(&room.gate, "read_guest_file", &words).unwrap();
        assert!(told.text.len() + told.data.len() <= 60_000);
        let (head, content) = told.text.split_once('\n').unwrap();
        whole.push_str(content);
        match head.split_once("go on with offset=") {
            Some((_, next)) => offset = next.parse().unwrap(),
            None => break,
        }
    }
    assert_eq!(whole, text);
    // A program that says too much says how much that is.
    let said = room.call("run_command_in_guest", &["command=cat /tmp/log; echo x >&2"]).unwrap();
    assert!(said.contains(&format!("of {} bytes)", text.len())), "{}", &said[..200]);
    assert!(said.ends_with("stderr:\nx") && said.len() < 40_000);
}

#[test]
fn behind_a_vcenter_files_come_from_the_host_that_it_vouches_for() {
    let room = Room::new("vcenter", true, Offer::everything());
    room.call("write_guest_file", &["guest_path=/tmp/f", "content=x"]).unwrap();
    let mut heard = room.heard();
    heard.retain(|it| it.starts_with("reach") || it.contains("PUT"));
    assert_eq!(heard.len(), 2, "{heard:?}");
    // SHA-256 of the certificate that the simulated vCenter tells.
    assert!(heard[0].starts_with("reach esxi") && heard[0].contains(":443 "), "{heard:?}");
    assert_eq!(heard[1], "esxi PUT Content-Type");
}

#[test]
fn a_host_that_vcenter_does_not_vouch_for_is_sent_nothing() {
    let odd = Odd { impostor: true, ..Odd::default() };
    let room = Room::of("impostor", true, Offer::everything(), odd);
    for (tool, words) in [
        ("write_guest_file", &["guest_path=/tmp/f", "content=x"][..]),
        ("read_guest_file", &["guest_path=/etc/hosts", "save_to=out"]),
    ] {
        let said = room.call(tool, words).unwrap_err().to_string();
        assert!(said.contains("the ESXi host `esxi"), "{said}");
        assert!(said.contains("is not the expected one"), "{said}");
        // The setting is that of the vCenter, which has the right one.
        assert!(said.contains("the certificate that vCenter knows"), "{said}");
        assert!(!said.contains("FINGERPRINT"), "{said}");
    }
    assert!(room.heard().iter().all(|it| !it.starts_with("esxi")));
    assert_eq!(std::fs::read_dir(&room.folder).unwrap().count(), 0);
}

#[test]
fn tools_that_are_not_ready_are_told_apart_before_a_password_is_sent() {
    let running = ">guestToolsRunning</val>";
    let ready = "guestOperationsReady</name><val xsi:type=\"xsd:boolean\">true<";
    for (from, to, wanted) in [
        (running, ">guestToolsExecutingScripts</val>", "are still starting. wait_for_vm_tools"),
        (running, ">guestToolsNotRunning</val>", "do not run in `web01`. wait_for_vm_tools"),
        (
            ready,
            "guestOperationsReady</name><val xsi:type=\"xsd:boolean\">false<",
            "takes no guest operations yet. They begin",
        ),
    ] {
        let odd = Odd { twist: Some((from, to)), ..Odd::default() };
        let room = Room::of("starting", false, Offer::everything(), odd);
        let error = room.call("list_guest_processes", &[]).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
        assert_eq!((error.kind(), room.heard().len()), (Kind::Conflict, 0));
    }
}

#[test]
fn what_is_written_anew_keeps_its_owner_where_root_writes_it() {
    for (user, password, owner) in [("root", "secret", "33"), ("ops", "ops", "1000")] {
        let room = Room::new(&format!("owner-{user}"), false, Offer::everything());
        let (user, password) = (format!("username={user}"), format!("password={password}"));
        let path = match owner {
            "33" => "/var/www/html/index.html",
            _ => "/home/ops/notes.txt",
        };
        let path = format!("guest_path={path}");
        let words = ["name=web01", &user, &password, &path, "content=x"];
        tool(&room.gate, "write_guest_file", &words).unwrap();
        let folder = path.rsplit_once('/').unwrap().0;
        let words = ["name=web01", &user, &password, folder, "response_format=detailed"];
        let told = tool(&room.gate, "list_guest_directory", &words).unwrap();
        assert!(told.data.contains(&format!("\"owner\":{owner}")), "{}", told.data);
    }
}

#[test]
fn where_nothing_may_be_changed_nothing_is_saved_either() {
    let room = Room::new("read-only", false, Offer::everything().read_only(true));
    let error = room.call("read_guest_file", &["guest_path=/etc/hosts", "save_to=out"]);
    let error = error.unwrap_err();
    assert!(error.kind() == Kind::Denied && error.to_string().contains("READ_ONLY"), "{error}");
    assert!(room.call("read_guest_file", &["guest_path=/etc/hosts"]).is_ok());
    let (_, row) = jumpvisor::tools::find("read_guest_file").unwrap();
    assert!(jumpvisor::tools::schema::offered(row, false).contains("save_to"));
    assert!(!jumpvisor::tools::schema::offered(row, true).contains("\"save_to\""));
    assert_eq!(std::fs::read_dir(&room.folder).unwrap().count(), 0);
}

#[test]
fn a_cancelled_program_is_ended_and_its_files_go() {
    let room = Room::new("cancel", false, Offer::everything());
    let cancel = Cancel::default();
    let soon = cancel.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(800));
        soon.cancel();
    });
    let words = [&LOGIN[..], &["command=sleep 900"]].concat();
    let error = tool_by(&room.gate, "run_command_in_guest", &words, cancel).unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled);
    assert!(error.to_string().contains("was ended"), "{error}");
    let said = room.call("list_guest_directory", &["guest_path=/tmp"]).unwrap();
    assert_eq!(said, "none");
    let said = room.call("list_guest_processes", &["process=sh"]).unwrap();
    assert!(said.contains("| 143"), "{said}");
}

#[test]
fn a_password_that_the_guest_refused_is_sent_once() {
    let room = Room::new("refused", false, Offer::everything());
    for tool in ["list_guest_processes", "run_command_in_guest", "read_guest_file"] {
        let words = ["command=ls", "guest_path=/etc/hosts"];
        let (_, row) = jumpvisor::tools::find(tool).unwrap();
        let known = |word: &&&str| row.args.iter().any(|arg| word.starts_with(arg.name));
        let mut all = vec!["name=web01", "username=ops", "password=wrong"];
        all.extend(words.iter().filter(known));
        let error = crate::rig::tool(&room.gate, tool, &all).unwrap_err();
        assert_eq!(error.fault_name(), Some("InvalidGuestLogin"), "{error}");
        assert_eq!(room.heard().len(), 1, "{tool}");
    }
}

#[test]
fn a_program_that_the_guest_forgot_has_an_unknown_result() {
    let room =
        Room::of("forgot", false, Offer::everything(), Odd { forgetful: true, ..Odd::default() });
    let error = room.call("run_command_in_guest", &["command=sleep 5"]).unwrap_err();
    let said = error.to_string();
    assert!(said.contains("was started and its result is unknown"), "{said}");
    assert!(said.contains("Look at the guest before running it again"), "{said}");
    // Nothing is ended or deleted on a guess.
    assert_eq!(room.heard(), ["CreateTemporaryDirectoryIn", "StartProgramIn"]);
}

#[test]
fn a_dry_run_changes_nothing_in_a_guest() {
    let room = Room::new("dry", false, Offer::everything());
    for (tool, words) in [
        ("run_command_in_guest", &["command=rm /etc/motd"][..]),
        ("kill_guest_process", &["pid=640"]),
        ("write_guest_file", &["guest_path=/home/ops/notes.txt", "content=x"]),
        ("create_guest_directory", &["guest_path=/tmp/new"]),
        ("delete_guest_file", &["guest_path=/home/ops", "recursive=true"]),
    ] {
        let told = room.call(tool, &[words, &["dry_run=true"]].concat()).unwrap();
        assert!(told.starts_with("Nothing was changed"), "{told}");
        let reads = ["ListFilesIn", "ListProcessesIn"];
        assert!(room.heard().iter().all(|it| reads.contains(&it.as_str())), "{tool}");
    }
}
