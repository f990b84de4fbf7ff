//! A person's consent to changes: each mode, each way of asking, and what an approval is not good for.
//!
//! Through the gate, on simulated servers; and the command line, where nobody sits at a terminal.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

#[allow(dead_code, reason = "shared")]
#[path = "common/lab.rs"]
mod lab;

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use jumpvisor::auth::Clock;
use jumpvisor::error::{Error, Kind};
use jumpvisor::text::json;
use jumpvisor::tools::approval::{Approval, Mode};
use jumpvisor::tools::run::{Asks, Brought, Caller};

use crate::lab::{Got, Lab, somebody};

const DELETE: &str = r#"{"name":"legacy-erp"}"#;
const KEY: &[u8] = &[7; 32];

fn lab(mode: Mode, by_token: bool) -> Lab {
    Lab::new(Approval::new(mode, by_token, Some(KEY)).unwrap())
}

fn ann() -> Caller {
    Caller::local("ann")
}

/// One who is asked, says this, and notes what was asked.
fn asked(says: &'static [bool]) -> (Caller, Arc<Mutex<Vec<String>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (notes, at) = (heard.clone(), AtomicUsize::new(0));
    let asks: Asks = Arc::new(move |question, _| {
        notes.lock().unwrap().push(question.to_owned());
        Ok(says[at.fetch_add(1, Ordering::SeqCst)])
    });
    (ann().asked_by(Some(asks)), heard)
}

fn bringing(state: Option<&str>, answer: Option<bool>) -> Caller {
    ann().bringing(Some(Brought { state: state.map(str::to_owned), answer }))
}

fn with(args: &str, token: &str) -> String {
    args.replacen('{', &format!(r#"{{"approval_token":"{token}","#), 1)
}

#[test]
fn each_mode_asks_for_what_it_says() {
    let cases = [
        // Tool, arguments, and whether it is asked about in the modes off, destructive, all.
        ("list_vms", "{}", [false, false, false]),
        ("call_api", r#"{"object":"ServiceInstance","method":"CurrentTime"}"#, [false; 3]),
        ("power_on", r#"{"name":"test01"}"#, [false, false, true]),
        ("power_off", r#"{"name":"web01"}"#, [false, true, true]),
        ("power_off", r#"{"name":"web01","dry_run":true}"#, [false; 3]),
        ("delete_vm", DELETE, [false, true, true]),
    ];
    for (at, mode) in [Mode::Off, Mode::Destructive, Mode::All].into_iter().enumerate() {
        let lab = lab(mode, true);
        for (tool, args, wanted) in &cases {
            let (caller, heard) = asked(&[false]);
            let got = lab.call(&caller, tool, args);
            assert_eq!(heard.lock().unwrap().len(), usize::from(wanted[at]), "{mode:?} {tool}");
            assert_eq!(matches!(got, Got::Answer(..)), !wanted[at], "{mode:?} {tool}: {got:?}");
        }
    }
}

#[test]
fn who_is_asked_sees_names_states_and_losses_and_their_word_counts() {
    let lab = lab(Mode::Destructive, true);
    let (caller, heard) = asked(&[false, true]);
    let error = lab.call(&caller, "power_off", r#"{"names":["web*"]}"#).error();
    assert_eq!(error.kind(), Kind::Denied);
    assert!(error.to_string().contains("declined by the person"), "{error}");
    assert_eq!(
        heard.lock().unwrap()[0],
        "power_off on esx needs your approval. This would happen:\n\
         - `web01` (1) is on and will be powered off hard\n\
         - `web02` (2) is on and will be powered off hard\n\
         This would be lost:\n\
         - what `web01` has not written to its disks\n\
         - what `web02` has not written to its disks"
    );
    assert_eq!(lab.events(), ["APPROVAL_ASKED -", "DECLINED error"]);
    lab.call(&caller, "power_off", r#"{"names":["web*"]}"#).text();
    let lines = lab.audited();
    let word = |at: usize, name| json::get_text(&lines[at], name);
    assert_eq!(word(0, "event"), Some("APPROVAL_ASKED"));
    assert_eq!(word(1, "event"), Some("APPROVED"));
    assert_eq!((word(1, "approved_by"), word(1, "user")), (Some("ann"), Some("ann")));
    assert_eq!((word(1, "result"), word(1, "host")), (Some("success"), Some("esx")));
    assert_eq!(word(0, "correlation_id"), word(1, "correlation_id"));
}

#[test]
fn nobody_who_could_be_asked_is_no_consent() {
    let lab = lab(Mode::All, true);
    let asks: Asks = Arc::new(|_, _| Err(Error::new(Kind::Cancelled, "cancelled")));
    let gone = ann().asked_by(Some(asks));
    assert_eq!(lab.call(&gone, "delete_vm", DELETE).error().kind(), Kind::Cancelled);
    let token = lab.call(&ann(), "delete_vm", DELETE).token();
    // One who can be asked is asked, whatever a model brings.
    assert!(matches!(lab.call(&gone, "delete_vm", &with(DELETE, &token)), Got::Failed(_)));
    assert!(lab.call(&ann(), "get_vm_info", DELETE).text().contains("legacy-erp"));
}

#[test]
fn what_changes_while_a_person_thinks_is_asked_again_and_not_for_ever() {
    let lab = Arc::new(lab(Mode::All, true));
    let (other, count) = (lab.clone(), Arc::new(AtomicUsize::new(0)));
    let counted = count.clone();
    let asks: Asks = Arc::new(move |question, _| {
        let at = counted.fetch_add(1, Ordering::SeqCst);
        assert_eq!(question.starts_with("Once more, because things have changed"), at > 0);
        // Somebody else is at it meanwhile.
        let tool = if at.is_multiple_of(2) { "power_on" } else { "power_off" };
        let caller = ann().asked_by(Some(Arc::new(|_, _| Ok(true))));
        other.call(&caller, tool, DELETE).text();
        Ok(true)
    });
    let restless = ann().asked_by(Some(asks));
    let error = lab.call(&restless, "delete_vm", DELETE).error();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.to_string().contains("another one after each approval"), "{error}");
    assert_eq!(count.load(Ordering::SeqCst), 3);
    assert!(lab.call(&ann(), "get_vm_info", DELETE).text().contains("legacy-erp"));
}

#[test]
fn a_token_is_for_one_caller_one_tool_these_arguments_this_state_and_once() {
    let lab = lab(Mode::Destructive, true);
    let args = r#"{"name":"web01"}"#;
    let got = lab.call(&ann(), "power_off", args);
    let Got::Answer(text, _) = &got else { panic!("{got:?}") };
    assert!(text.starts_with("Nothing was changed: this needs an approval."), "{text}");
    assert!(text.contains("- what `web01` has not written") && text.contains("within 10 minutes"));
    let token = got.token();
    let line = lab.audited().remove(0);
    assert_eq!(json::get_text(&line, "event"), Some("APPROVAL_ASKED"));
    let wrong = |caller: &Caller, tool: &str, args: &str, kind| {
        let got = lab.call(caller, tool, &with(args, &token)).error();
        assert_eq!(got.kind(), kind, "{tool} {args}: {got}");
    };
    wrong(&Caller::local("bob"), "power_off", args, Kind::Usage);
    let key = Caller::new(somebody("ann", &["all=full_admin"]));
    wrong(&key, "power_off", args, Kind::Usage);
    wrong(&ann(), "reset_vm", args, Kind::Usage);
    wrong(&ann(), "power_off", r#"{"name":"web02"}"#, Kind::Usage);
    wrong(&ann(), "power_off", r#"{"names":"web01"}"#, Kind::Usage);
    wrong(&ann(), "power_off", r#"{"name":"web01","host":"esx"}"#, Kind::Usage);
    let text = |args: &str| lab.call(&ann(), "power_off", &with(args, &token)).text();
    assert!(text(r#"{"name":"web01","dry_run":true}"#).starts_with("Nothing was changed. This"));
    lab.audited();
    assert_eq!(text(r#"{"name":"web01","response_format":"detailed"}"#), "web01: powered off");
    let line = lab.audited().remove(0);
    assert_eq!(json::get_text(&line, "event"), Some("APPROVED"));
    let shown = json::write_object(json::get_object(&line, "args").unwrap());
    assert_eq!(shown, r#"{"name":"web01","response_format":"detailed"}"#);
    wrong(&ann(), "power_off", args, Kind::Conflict);
    // Another state is another plan, with a token of its own.
    let token = lab.call(&ann(), "delete_vm", DELETE).token();
    lab.call(&ann(), "power_on", DELETE).text();
    let got = lab.call(&ann(), "delete_vm", &with(DELETE, &token));
    let Got::Answer(text, _) = &got else { panic!("{got:?}") };
    assert!(text.starts_with("Nothing was changed: things have changed"), "{text}");
    let next = got.token();
    assert_ne!(next, token);
    let done = lab.call(&ann(), "delete_vm", &with(DELETE, &next)).text();
    assert!(done.contains("deleted with its files"), "{done}");
}

static NOW: AtomicU64 = AtomicU64::new(1_000);

#[test]
fn an_approval_comes_too_late_after_ten_minutes() {
    let clock = || Clock { unix: NOW.load(Ordering::SeqCst), steady: Instant::now() };
    let approval = Approval::new(Mode::All, true, None).unwrap().clocked(clock);
    let lab = Lab::new(approval);
    let token = lab.call(&ann(), "delete_vm", DELETE).token();
    let state = lab.call(&bringing(None, None), "delete_vm", DELETE).state();
    NOW.store(1_600, Ordering::SeqCst);
    let text = lab.call(&ann(), "delete_vm", &with(DELETE, &token)).text();
    assert!(text.starts_with("Nothing was changed: the approval came too late"), "{text}");
    match lab.call(&bringing(Some(&state), Some(true)), "delete_vm", DELETE) {
        Got::Asks(question, _) => {
            assert!(question.starts_with("Once more, because the approval came too late."))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_instances_with_one_key_file_accept_each_others_tokens() {
    let (one, other) = (lab(Mode::All, true), lab(Mode::All, true));
    let strange = Lab::new(Approval::new(Mode::All, true, None).unwrap());
    let token = one.call(&ann(), "delete_vm", DELETE).token();
    let error = strange.call(&ann(), "delete_vm", &with(DELETE, &token)).error();
    assert_eq!(error.kind(), Kind::Usage);
    other.call(&ann(), "delete_vm", &with(DELETE, &token)).text();
}

#[test]
fn an_answer_that_comes_with_the_call_again() {
    let lab = lab(Mode::Destructive, false);
    let ask = |state: Option<&str>, answer, args: &str| {
        lab.call(&bringing(state, answer), "delete_vm", args)
    };
    let state = ask(None, None, DELETE).state();
    assert_eq!(lab.events(), ["APPROVAL_ASKED -"]);
    // Not answered: asked again. An answer to nothing is none.
    ask(Some(&state), None, DELETE).state();
    ask(None, Some(true), DELETE).state();
    for (state, args) in [("", DELETE), ("x", DELETE), (state.as_str(), r#"{"name":"fw-lab"}"#)] {
        for answer in [None, Some(true), Some(false)] {
            let got = ask(Some(state), answer, args);
            assert!(matches!(&got, Got::Refused(_)), "{state} {answer:?}: {got:?}");
        }
    }
    let bob = Caller::local("bob")
        .bringing(Some(Brought { state: Some(state.clone()), answer: Some(true) }));
    assert!(matches!(lab.call(&bob, "delete_vm", DELETE), Got::Refused(_)));
    lab.audited();
    // Declined for good.
    let declined = ask(Some(&state), Some(false), DELETE).error();
    assert_eq!(declined.kind(), Kind::Denied);
    assert_eq!(ask(Some(&state), Some(true), DELETE).error().kind(), Kind::Conflict);
    assert_eq!(lab.events(), ["DECLINED error", "- error"]);
    // Changed in between.
    let state = ask(None, None, DELETE).state();
    lab.call(&ann(), "power_on", DELETE).text();
    let state = match ask(Some(&state), Some(true), DELETE) {
        Got::Asks(question, state) => {
            assert!(question.contains("Once more, because things have changed"), "{question}");
            assert!(question.contains("is on and is powered off hard"), "{question}");
            state
        }
        other => panic!("{other:?}"),
    };
    lab.audited();
    ask(Some(&state), Some(true), DELETE).text();
    assert_eq!(lab.events(), ["APPROVED success"]);
}

#[test]
fn without_tokens_who_cannot_be_asked_is_denied() {
    let lab = lab(Mode::All, false);
    let error = lab.call(&ann(), "delete_vm", &with(DELETE, "x")).error();
    assert_eq!(error.kind(), Kind::Denied);
    assert!(error.to_string().contains("dry_run=true"), "{error}");
    let dry = lab.call(&ann(), "delete_vm", r#"{"name":"legacy-erp","dry_run":true}"#).text();
    assert!(dry.starts_with("Nothing was changed. This would happen:"));
}

#[test]
fn a_plan_too_long_to_be_read_is_not_put_to_anybody() {
    let lab = lab(Mode::All, true);
    let (caller, heard) = asked(&[true]);
    let names: Vec<String> =
        (0..400).map(|at| format!("\"no-such-machine-{at}-{}\"", "x".repeat(60))).collect();
    let args = format!(r#"{{"names":[{},"web01"]}}"#, names.join(","));
    let error = lab.call(&caller, "power_off", &args).error();
    assert!(error.to_string().contains("too many to be approved"), "{error}");
    assert!(heard.lock().unwrap().is_empty());
}

/// The program with nobody at a terminal: status, standard output, standard error.
fn program(words: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jumpvisor"));
    command.env_clear().envs(env.iter().copied()).args(["--config", "/dev/null"]).args(words);
    let out = command.stdin(Stdio::null()).output().unwrap();
    let text = |it: Vec<u8>| String::from_utf8(it).unwrap();
    (out.status.code(), text(out.stdout), text(out.stderr))
}

#[test]
fn the_command_line_asks_at_a_terminal_and_nowhere_else() {
    let call = ["--demo", "--approval", "destructive", "call", "delete_vm", "name=legacy-erp"];
    let (status, out, errors) = program(&call, &[]);
    assert_eq!((status, out.as_str()), (Some(4), ""));
    assert!(errors.contains("no terminal to ask on") && errors.contains("--yes"), "{errors}");
    let yes = [&call[..], &["--yes"]].concat();
    assert_eq!(program(&yes, &[]).1, "legacy-erp: deleted with its files\n");
    let dry = [&call[..], &["dry_run=true"]].concat();
    assert_eq!(program(&dry, &[]).0, Some(0));
    let (status, out, _) = program(&["--demo", "call", "delete_vm", "name=legacy-erp"], &[]);
    assert_eq!((status, out.as_str()), (Some(0), "legacy-erp: deleted with its files\n"));
    let json = [&call[..], &["--json"]].concat();
    let (status, out, _) = program(&json, &[]);
    assert!(status == Some(4) && out.contains(r#""kind":"denied""#), "{out}");
}

#[test]
fn a_key_file_is_private_and_long_enough_or_told() {
    use std::os::unix::fs::PermissionsExt;
    let path = format!("{}/approval-key-{}", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    let check = |bytes: &[u8], mode| {
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let env = [("APPROVAL_KEY_FILE", path.as_str()), ("APPROVAL", "all")];
        program(&["--demo", "call", "list_servers"], &env)
    };
    assert_eq!(check(KEY, 0o600).0, Some(0));
    for (bytes, mode, said) in [
        (&KEY[1..], 0o600, "the file has 31 bytes, fewer than 32; make one with (umask 077; head"),
        (KEY, 0o640, "the file can be read by others (chmod 600 it)"),
        (KEY, 0o604, "can be read by others"),
        (&[7; 65_537], 0o600, "is larger than 64 KiB"),
    ] {
        let (status, _, errors) = check(bytes, mode);
        assert!(status == Some(2) && errors.contains(said), "{errors}");
    }
    std::fs::remove_file(&path).unwrap();
    let env = [("APPROVAL_KEY_FILE", path.as_str())];
    let (_, _, errors) = program(&["--demo", "call", "list_servers"], &env);
    assert!(errors.contains("the file does not exist"), "{errors}");
}
