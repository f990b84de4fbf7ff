//! The audit log's sinks from outside: several processes at one file, files that are moved and
//! folders that vanish, a journal that the test plays, a full disk under the whole program.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{IoSliceMut, Read, Seek, Write};
use std::mem::MaybeUninit;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use jumpvisor::audit::{Audit, Entry, KEPT, Sink};
use jumpvisor::text::json;
use jumpvisor::text::json::{Object, Value};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

/// What makes this test a helper of itself: the file that it writes to, and its name.
const CHILD: &str = "JUMPVISOR_TEST_AUDIT";

const LINES: usize = 500;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("jv-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn entry(user: &str, size: usize) -> Entry {
    let mut entry = Entry::new("c0ffee", user, "power_on");
    entry.about(Some("esx1"), json::object([("note", json::text("x".repeat(size)))]));
    entry.ended(Duration::from_millis(3), None)
}

/// Whole lines of a file, each of them JSON.
fn lines(path: &Path) -> Vec<Object> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "{} ends in a half line", path.display());
    let object = |line: &str| match json::parse(line) {
        Ok(Value::Object(object)) => object,
        _ => panic!("torn: {line}"),
    };
    text.lines().map(object).collect()
}

fn user(line: &Object) -> String {
    json::get_text(line, "user").unwrap().to_owned()
}

fn write_many(path: &Path, name: &str) {
    let audit = Audit::rotated_at(path.to_owned(), 100_000);
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let audit = &audit;
            scope.spawn(move || {
                for number in 0..LINES {
                    audit.write(entry(&format!("{name}-{thread}-{number}"), number % 300));
                }
            });
        }
    });
    assert!(audit.lost().iter().all(|it| it.1 == 0), "{:?}", audit.trouble());
}

#[test]
fn two_processes_write_and_put_aside_and_no_line_is_lost_or_torn() {
    if let Ok(told) = std::env::var(CHILD) {
        let (path, name) = told.rsplit_once('#').unwrap();
        return write_many(Path::new(path), name);
    }
    let folder = Folder::new("audit-many");
    let path = folder.at("audit.jsonl");
    let children: Vec<_> = ["a", "b"]
        .map(|name| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "two_processes_write_and_put_aside_and_no_line_is_lost_or_torn"])
                .env(CHILD, format!("{}#{name}", path.display()))
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        })
        .into();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let files: Vec<PathBuf> =
        fs::read_dir(&folder.0).unwrap().map(|it| it.unwrap().path()).collect();
    let mut seen = BTreeSet::new();
    for file in &files {
        assert!(fs::metadata(file).unwrap().len() <= 100_000);
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        for line in lines(file) {
            assert!(seen.insert(user(&line)), "{} twice", user(&line));
        }
    }
    assert_eq!(seen.len(), 2 * 2 * LINES);
    assert!((5..=KEPT + 1).contains(&files.len()), "{files:?}");
}

#[test]
fn no_more_files_are_kept_than_promised_and_the_newest_line_is_in_the_first() {
    let folder = Folder::new("audit-kept");
    let path = folder.at("audit.jsonl");
    let audit = Audit::rotated_at(path.clone(), 1_000);
    for number in 0..40 {
        audit.write(entry(&number.to_string(), 400));
    }
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), KEPT + 1);
    assert_eq!(user(lines(&path).last().unwrap()), "39");
    assert_eq!(user(&lines(&folder.at("audit.jsonl.1"))[0]), "38");
    // A rotation that was broken off leaves a gap, which costs no file.
    fs::remove_file(folder.at("audit.jsonl.3")).unwrap();
    let oldest = fs::read(folder.at("audit.jsonl.8")).unwrap();
    audit.write(entry("40", 400));
    assert_eq!(fs::read(folder.at("audit.jsonl.8")).unwrap(), oldest);
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), KEPT + 1);
}

#[test]
fn a_file_that_was_moved_is_found_again_and_where_none_can_be_made_the_old_one_serves() {
    let folder = Folder::new("audit-moved");
    let path = folder.at("audit.jsonl");
    let audit = Audit::new(Sink::File(path.clone()), false);
    audit.write(entry("before", 1));
    fs::rename(&path, folder.at("moved")).unwrap();
    audit.write(entry("after", 1));
    assert_eq!(user(&lines(&folder.at("moved"))[0]), "before");
    assert_eq!(user(&lines(&path)[0]), "after");
    fs::rename(&path, folder.at("again")).unwrap();
    fs::create_dir(&path).unwrap();
    audit.write(entry("still", 1));
    assert_eq!(user(&lines(&folder.at("again"))[1]), "still");
    fs::remove_dir(&path).unwrap();
    audit.reopen();
    audit.write(entry("anew", 1));
    assert_eq!(user(&lines(&path)[0]), "anew");
    assert_eq!(audit.lost(), [("file", 0)]);
}

#[test]
fn a_folder_that_vanished_is_told_and_well_again_when_it_is_back() {
    let folder = Folder::new("audit-gone");
    let path = folder.at("log/audit.jsonl");
    fs::create_dir(folder.at("log")).unwrap();
    let audit = Audit::new(Sink::File(path.clone()), true);
    audit.write(entry("before", 1));
    fs::remove_dir_all(folder.at("log")).unwrap();
    let said = audit.begin(&entry("without", 1)).unwrap_err().to_string();
    assert!(said.contains("audit.jsonl: No such file"), "{said}");
    assert_eq!(audit.lost(), [("file", 1)]);
    assert!(audit.tried()[0].1.is_some() && audit.trouble().is_some());
    fs::create_dir(folder.at("log")).unwrap();
    assert_eq!(audit.tried(), [(path.display().to_string(), None)]);
    assert!(!path.exists(), "to try makes no file");
    assert!(audit.begin(&entry("again", 1)).is_ok());
    assert_eq!((user(&lines(&path)[0]), audit.trouble()), ("again".to_owned(), None));
}

#[test]
fn a_line_that_a_pipe_took_in_part_does_not_spoil_the_next() {
    use std::os::fd::AsRawFd;
    let (mut reader, writer) = std::io::pipe().unwrap();
    let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
    let audit = Audit::new(Sink::File(path.into()), false);
    audit.write(entry("large", 100_000));
    assert_eq!(audit.lost(), [("file", 1)]);
    let mut got = vec![0; 65_536];
    reader.read_exact(&mut got).unwrap();
    audit.write(entry("next", 1));
    drop((audit, writer));
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    let last = rest.lines().last().unwrap();
    let Ok(Value::Object(line)) = json::parse(last) else { panic!("{rest}") };
    assert_eq!(user(&line), "next");
}

/// One entry as the journal gets it: in a datagram, or by the descriptor of a sealed file.
fn received(journal: &UnixDatagram) -> (String, bool) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = vec![0; 1 << 20];
    let flags = RecvFlags::DONTWAIT;
    let message =
        rustix::net::recvmsg(journal, &mut [IoSliceMut::new(&mut bytes)], &mut beside, flags);
    bytes.truncate(message.unwrap().bytes);
    for it in beside.drain() {
        let RecvAncillaryMessage::ScmRights(files) = it else { continue };
        let mut file = fs::File::from({ files }.next().unwrap());
        assert!(bytes.is_empty() && file.write(b"x").is_err(), "it is sealed");
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        return (text, true);
    }
    (String::from_utf8(bytes).unwrap(), false)
}

#[test]
fn the_journal_gets_small_lines_and_large_ones_and_may_go_and_come_back() {
    let folder = Folder::new("audit-journal");
    let socket = folder.at("socket");
    let audit = Audit::new(Sink::Journal(socket.clone()), false);
    audit.write(entry("nobody listens", 1));
    assert_eq!(audit.lost(), [("journal", 1)]);
    assert!(audit.tried()[0].1.is_some());
    let journal = UnixDatagram::bind(&socket).unwrap();
    audit.write(entry("small", 1));
    let (text, by_file) = received(&journal);
    assert!(text.starts_with("MESSAGE={\"args\":") && !by_file, "{text}");
    for field in [
        "SYSLOG_IDENTIFIER=jumpvisor\n",
        "PRIORITY=6\n",
        "JUMPVISOR_USER=small\n",
        "JUMPVISOR_TOOL=power_on\n",
        "JUMPVISOR_HOST=esx1\n",
        "JUMPVISOR_RESULT=success\n",
    ] {
        assert!(text.contains(field), "{field} in {text}");
    }
    audit.write(entry("large", 3_000_000));
    let (text, by_file) = received(&journal);
    assert!(by_file && text.len() > 3_000_000 && text.contains("JUMPVISOR_USER=large\n"));
    drop(journal);
    audit.write(entry("gone", 1));
    assert_eq!(audit.lost(), [("journal", 2)]);
    assert!(audit.trouble().is_some_and(|it| it.starts_with("journal: Connection refused")));
    fs::remove_file(&socket).unwrap();
    let journal = UnixDatagram::bind(&socket).unwrap();
    audit.write(entry("back", 1));
    assert!(received(&journal).0.contains("JUMPVISOR_USER=back\n"));
    assert_eq!((audit.lost(), audit.trouble()), (vec![("journal", 2)], None));
}

/// The program with the simulated servers: exit status, standard output and error.
fn run(audit: &str, required: &str, args: &[&str]) -> (i32, String, String) {
    let ended = Command::new(env!("CARGO_BIN_EXE_jumpvisor"))
        .args(args)
        .env_clear()
        .envs([("AUDIT_LOG", audit), ("AUDIT_REQUIRED", required)])
        .current_dir("/")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (ended.status.code().unwrap(), text(ended.stdout), text(ended.stderr))
}

#[test]
fn a_full_disk_stops_changes_of_the_whole_program_only_where_it_must() {
    let on = ["--demo", "call", "suspend_vm", "name=web01"];
    let (status, _, err) = run("/dev/full", "false", &on);
    assert_eq!(status, 0, "{err}");
    assert!(err.contains("could not be written to /dev/full: No space left"), "{err}");
    let (status, _, err) = run("/dev/full", "true", &on);
    assert_eq!(status, 6, "{err}");
    assert!(err.contains("changes need it") && err.contains("AUDIT_REQUIRED=false"), "{err}");
    let (status, out, err) = run("/dev/full", "true", &["--demo", "call", "list_vms"]);
    assert!(status == 0 && out.contains("web01"), "who only reads is let: {err}");
}

#[test]
fn a_line_that_fits_in_part_is_taken_back() {
    let folder = Folder::new("audit-part");
    let path = folder.at("audit.jsonl");
    // No file of the program may be larger than 1024 bytes, and it is not ended for trying.
    let limited = r#"trap "" XFSZ; ulimit -f 1; exec "$0" --demo"#;
    let mut process = Command::new("bash")
        .args(["-c", limited, env!("CARGO_BIN_EXE_jumpvisor")])
        .env("AUDIT_LOG", &path)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = process.stdin.take().unwrap();
    for id in 0..8 {
        let call = r#""method":"tools/call","params":{"name":"list_servers","arguments":{}}"#;
        writeln!(input, r#"{{"jsonrpc":"2.0","id":{id},{call}}}"#).unwrap();
    }
    drop(input);
    let ended = process.wait_with_output().unwrap();
    let errors = String::from_utf8(ended.stderr).unwrap();
    assert!((2..8).contains(&lines(&path).len()), "{errors}");
    assert!(errors.contains("no room for the whole line"), "{errors}");
}

#[test]
fn a_journal_that_takes_nothing_holds_nobody_up_for_long() {
    let folder = Folder::new("audit-stuck");
    let socket = folder.at("socket");
    let _journal = UnixDatagram::bind(&socket).unwrap();
    let audit = Audit::new(Sink::Journal(socket), false);
    // As many wait in a socket as the system allows, ten to some hundreds.
    for number in 0..5_000 {
        audit.write(entry(&number.to_string(), 1));
        if audit.trouble().is_some() {
            break;
        }
    }
    assert_eq!(audit.lost(), [("journal", 1)]);
}

#[test]
fn several_sinks_get_each_line_and_metrics_and_check_tell_of_the_one_that_fails() {
    let folder = Folder::new("audit-several");
    let path = folder.at("audit.jsonl");
    let sinks = format!("stderr,{},/nowhere/a.jsonl", path.display());
    let (status, out, err) = run(&sinks, "false", &["--demo", "call", "list_vms", "name=web*"]);
    assert_eq!(status, 0, "{out} {err}");
    let line = &lines(&path)[0];
    assert_eq!((json::get_text(line, "host"), lines(&path).len()), (Some("esxi01"), 1));
    assert!(err.lines().any(|it| it.starts_with("{\"args\"")), "{err}");
    assert!(err.contains("/nowhere/a.jsonl: No such file"), "{err}");
    let (status, out, _) = run(&sinks, "false", &["--demo", "check"]);
    assert_eq!(status, 1);
    let told = format!("audit log\n  ok    {}\n  FAIL  /nowhere/a.jsonl: No such", path.display());
    assert!(out.contains(&told), "{out}");
}

#[test]
fn resources_prompts_and_completions_have_lines_and_a_client_knows_them_by_the_same_id() {
    let mut process = Command::new(env!("CARGO_BIN_EXE_jumpvisor"))
        .arg("--demo")
        .env_clear()
        .env("AUDIT_LOG", "stderr")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let asked = [
        r#""resources/read","params":{"uri":"esxi://vms"}"#,
        r#""resources/read","params":{"uri":"datastore://nowhere/"}"#,
        r#""prompts/get","params":{"name":"diagnose_vm","arguments":{"vm":"web01"},"_meta":{}}"#,
        r#""completion/complete","params":{"ref":{"type":"ref/prompt","name":"diagnose_vm"},"argument":{"name":"vm","value":"we"}}"#,
    ];
    let mut input = process.stdin.take().unwrap();
    for (id, rest) in asked.iter().enumerate() {
        writeln!(input, r#"{{"jsonrpc":"2.0","id":{id},"method":{rest}}}"#).unwrap();
    }
    drop(input);
    let ended = process.wait_with_output().unwrap();
    let errors = String::from_utf8(ended.stderr).unwrap();
    let told: Vec<&str> = errors.lines().filter(|it| it.starts_with('{')).collect();
    let has = |parts: &[&str]| {
        let fits = |it: &&&str| parts.iter().all(|part| it.contains(part));
        assert!(told.iter().filter(fits).count() == 1, "{parts:?} in {errors}");
    };
    has(&[r#""tool":"resources/read""#, r#""args":{"uri":"esxi://vms"}"#, "success"]);
    has(&[r#""tool":"resources/read""#, "datastore://nowhere/", r#""result":"error""#]);
    let prompt = r#""args":{"arguments":{"vm":"web01"},"name":"diagnose_vm"}"#;
    has(&[r#""tool":"prompts/get""#, prompt, "success"]);
    let completed = r#""args":{"argument":"vm","value":"we"}"#;
    has(&[r#""tool":"completion/complete""#, completed, r#""groups":[]"#]);
    assert_eq!(told.len(), 4, "{errors}");
}
