//! What callers with rights on some servers may do, and what they are shown.
//!
//! Through the gate and the protocol, on two simulated servers: `esx`, the default, and `vc`.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

#[allow(dead_code, reason = "shared")]
#[path = "common/lab.rs"]
mod lab;

use jumpvisor::auth::principal::Principal;
use jumpvisor::error::{Error, Kind};
use jumpvisor::hv::call::{Call, Rights};
use jumpvisor::mcp::rpc;
use jumpvisor::mcp::rpc::Message;
use jumpvisor::mcp::server::{Server, Step};
use jumpvisor::mcp::watch::{Seen, seen_of};
use jumpvisor::text::json;
use jumpvisor::tools::approval::Approval;
use jumpvisor::tools::run::Caller;
use jumpvisor::tools::{Effect, Level, all, completions};

use crate::lab::{Got, Lab, object, somebody};

fn lab() -> Lab {
    Lab::new(Approval::off())
}

/// Ok, or the kind and the text of the failure.
fn tried(lab: &Lab, who: &Principal, tool: &str, args: &str) -> Result<String, (Kind, String)> {
    match lab.call(&Caller::new(who.clone()), tool, args) {
        Got::Answer(text, _) => Ok(text),
        Got::Failed(error) => Err((error.kind(), error.to_string())),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_level_on_the_server_that_is_meant_decides() {
    let lab = lab();
    let cases: [(&[&str], &str, &str, [bool; 3]); 6] = [
        // Rights, tool, arguments, and whether it may be done on: the default, esx, vc.
        (&["a=read"], "list_vms", "", [true, true, true]),
        (&["a=read"], "power_on", r#""name":"web01""#, [false, false, false]),
        (&["a=power@vc", "b=read"], "power_on", r#""name":"web01""#, [false, false, true]),
        (&["a=power@esx"], "power_on", r#""name":"web01""#, [true, true, false]),
        (&["a=read@vc", "b=admin@esx"], "list_vms", "", [true, true, true]),
        (
            &["a=read@vc", "b=power@esx"],
            "rename_vm",
            r#""name":"web01","new_name":"w""#,
            [false; 3],
        ),
    ];
    for (rights, tool, args, may) in cases {
        let who = somebody("eve", rights);
        for (host, may) in ["", r#""host":"esx","#, r#""host":"vc","#].into_iter().zip(may) {
            let args = format!("{{{host}{args}}}").replace(",}", "}");
            let got = tried(&lab, &who, tool, &args);
            assert_eq!(got.is_ok(), may, "{rights:?} {tool} {args}: {got:?}");
        }
    }
}

#[test]
fn a_denial_says_what_is_needed_and_where_it_would_work_and_nothing_of_other_servers() {
    let lab = lab();
    let said = |rights: &[&str], tool: &str, args: &str| {
        tried(&lab, &somebody("eve", rights), tool, args).unwrap_err()
    };
    let (kind, text) = said(&["ops=power@vc", "staff=read"], "power_on", r#"{"name":"web01"}"#);
    assert_eq!(kind, Kind::Denied);
    assert_eq!(
        text,
        "power_on: it needs power_ops on `esx`, and you have read_only by ops, staff. With `host` \
         you may on: vc; for more rights ask who runs this server"
    );
    let (kind, text) = said(&["ops=power@vc"], "list_vms", "{}");
    assert_eq!(kind, Kind::Denied);
    assert!(text.contains("on the default server, and you have no right there"), "{text}");
    assert!(!text.contains("esx") && text.contains("you may on: vc"), "{text}");
    // A server without rights is not there.
    let (kind, text) = said(&["ops=power@vc"], "list_vms", r#"{"host":"esx"}"#);
    assert_eq!(kind, Kind::NotFound);
    assert!(text.contains("no server is called `esx`. Known: `vc`"), "{text}");
    let (there, _) = said(&["ops=power@vc"], "list_vms", r#"{"host":"nowhere"}"#);
    assert_eq!(there, kind);
    // Who may do it nowhere learns nothing of arguments and names.
    for args in [r#"{"host":"nowhere","name":"a"}"#, r#"{"nonsense":1}"#, "{}"] {
        assert_eq!(said(&["ops=power@vc"], "delete_vm", args).0, Kind::Denied, "{args}");
    }
    assert_eq!(said(&["ops=power@esx"], "power_on", r#"{"nonsense":1}"#).0, Kind::Usage);
}

#[test]
fn lists_of_all_servers_are_of_those_that_the_caller_may_read() {
    let lab = lab();
    let who = somebody("eve", &["ops=power@vc"]);
    let listed = tried(&lab, &who, "list_vms", r#"{"host":"all","limit":1000}"#).unwrap();
    assert!(listed.contains("vc | ") && !listed.contains("esx | "), "{listed}");
    let servers = tried(&lab, &who, "list_servers", "{}").unwrap();
    assert!(servers.contains("vc | ") && !servers.contains("esx"), "{servers}");
    let metrics = tried(&lab, &who, "get_metrics", "{}").unwrap();
    assert!(metrics.contains("vc") && !metrics.contains("esx"), "{metrics}");
    let both = somebody("ann", &["a=read"]);
    let listed = tried(&lab, &both, "list_vms", r#"{"host":"all","limit":1000}"#).unwrap();
    assert!(listed.contains("vc | ") && listed.contains("esx | "), "{listed}");
    // Enough on one of them: only that one is asked.
    let mixed = somebody("joe", &["a=read@esx", "b=power@vc"]);
    let consoles = tried(&lab, &mixed, "list_serial_consoles", r#"{"host":"all"}"#);
    assert!(consoles.is_ok(), "{consoles:?}");
}

#[test]
fn denials_are_audited_with_what_was_needed() {
    let lab = lab();
    let who = somebody("guest@example.com", &["vsphere-readers=read"]);
    let args = r#"{"name":"web01","new_name":"x"}"#;
    tried(&lab, &who, "rename_vm", args).unwrap_err();
    let lines = lab.audited();
    assert_eq!(lines.len(), 1);
    let mut line = lines.into_iter().next().unwrap();
    for name in ["timestamp", "correlation_id"] {
        assert!(line.remove(name).is_some(), "{name}");
    }
    assert_eq!(
        json::write_object(&line),
        r#"{"args":{"name":"web01","new_name":"x"},"event":"PERMISSION_DENIED","groups":["vsphere-readers"],"host":"esx","required_permission":"vm_lifecycle","tool":"rename_vm","user":"guest@example.com"}"#
    );
    tried(&lab, &who, "create_vm", r#"{"name":"x","password":"geheim"}"#).unwrap_err();
    assert!(!json::write_object(&lab.audited()[0]).contains("geheim"));
    tried(&lab, &who, "list_vms", "{}").unwrap();
    assert_eq!(lab.events(), ["- success"]);
}

#[test]
fn the_second_gate_stops_what_a_wrong_row_lets_through() {
    // A tool of level read that changes nothing by itself but may be told to: the session refuses.
    let lab = lab();
    let call = r#"{"object":"VirtualMachine:1","method":"ShutdownGuest"}"#;
    let who = somebody("eve", &["a=read"]);
    assert_eq!(tried(&lab, &who, "call_api", call).unwrap_err().0, Kind::Denied);
    for (_, tool) in all().filter(|(_, tool)| tool.effect != Effect::Reads) {
        assert!(tool.level > Level::Read || tool.name == "call_api", "{}", tool.name);
    }
    let power = lab.gate.fleet.server(None).unwrap().host.power().unwrap();
    let machine = lab.gate.fleet.server(None).unwrap().host.machines();
    let reading = Call::new(Rights::ReadOnly);
    let web = machine.find(&reading, "web01").unwrap();
    let verb = jumpvisor::hv::power::Verb::Off;
    let error = power.switch(&reading, &web.at, verb).err().unwrap();
    assert_eq!(error.kind(), Kind::Denied, "{error}");
}

fn asked(lab: &Lab, who: &Principal, method: &str, params: &str) -> String {
    let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
    let Ok(Some(Message::Request(request))) = rpc::parse(text.as_bytes()) else { panic!("{text}") };
    let answer = match Server::new(lab.gate.clone(), 1_000).handle(&request, who) {
        Step::Now(answer) => answer,
        Step::Later(work) => work.run(Caller::new(who.clone())),
        Step::Watch(_) => panic!("{text}"),
    };
    answer.unwrap_or_else(|failure| format!("{} {}", failure.code, failure.message))
}

#[test]
fn lists_of_the_protocol_show_what_the_caller_may_use_somewhere() {
    let lab = lab();
    let names = |rights: &[&str]| {
        let who = somebody("eve", rights);
        let listed = asked(&lab, &who, "tools/list", "{}");
        let list = object(&listed);
        let Some(json::Value::Array(tools)) = list.get("tools") else { panic!("{listed}") };
        tools.len()
    };
    let count = |level| all().filter(|(_, tool)| tool.level <= level).count();
    assert_eq!(names(&["a=read"]), count(Level::Read));
    assert_eq!(names(&["a=read", "b=vm@vc"]), count(Level::Vm));
    assert_eq!(names(&["a=admin@esx"]), all().count());
    let (reader, far) = (somebody("r", &["a=read"]), somebody("f", &["a=power@vc"]));
    let admin = somebody("a", &["a=admin"]);
    let prompts = |who| asked(&lab, who, "prompts/list", "{}").matches("\"title\"").count();
    assert!(prompts(&reader) < prompts(&admin));
    let templates = |who| asked(&lab, who, "resources/templates/list", "{}");
    assert!(!templates(&reader).contains("serial://"), "reading consoles needs more");
    assert!(templates(&far).contains("serial://"));
    assert!(asked(&lab, &reader, "resources/list", "{}").contains("esxi://vms"));
    assert_eq!(asked(&lab, &far, "resources/list", "{}"), r#"{"resources":[]}"#);
    let read =
        |who, uri: &str| asked(&lab, who, "resources/read", &format!(r#"{{"uri":"{uri}"}}"#));
    assert!(read(&far, "esxi://vc/vms").contains("web01"));
    assert!(read(&far, "esxi://esx/vms").contains("no server is called `esx`. Known: `vc`"));
    let said = read(&far, "esxi://vms");
    assert!(said.contains("no right there") && !said.contains("esx`"), "{said}");
    let said = read(&reader, "serial://web01");
    assert!(said.contains("it needs power_ops on `esx`, and you have read_only by a"), "{said}");
    let line = lab.audited().pop().unwrap();
    assert_eq!(json::get_text(&line, "event"), Some("PERMISSION_DENIED"));
    assert_eq!(json::get_text(&line, "required_permission"), Some("power_ops"));
    // The call of a tool that is not shown is denied, not unknown.
    let said =
        asked(&lab, &reader, "tools/call", r#"{"name":"delete_vm","arguments":{"name":"x"}}"#);
    assert!(said.contains(r#""isError":true"#) && said.contains(r#""kind":"denied""#), "{said}");
}

#[test]
fn who_begins_to_look_on_at_a_console_has_a_line_in_the_audit_log() {
    let lab = lab();
    let (admin, reader) = (somebody("ann", &["a=admin"]), somebody("eve", &["a=read"]));
    tried(&lab, &admin, "connect_serial_port", r#"{"name":"edge01"}"#).unwrap();
    lab.audited();
    let lines = || -> Vec<String> {
        let mut all = lab.audited();
        for name in ["timestamp", "correlation_id", "duration_ms", "error"] {
            all.iter_mut().for_each(|it| drop(it.remove(name)));
        }
        all.iter().map(json::write_object).collect()
    };
    let line = |method: &str, uri: &str, result: &str| {
        format!(
            r#"{{"args":{{"uri":"{uri}"}},"groups":["a"],"result":"{result}","tool":"{method}","user":"ann"}}"#
        )
    };
    let ann = Caller::new(admin);
    let (good, bad) = ("serial://edge01", "serial://nobody");
    // In a session, and over stdio.
    assert!(Seen::of(&lab.gate, &ann, good).is_ok());
    assert!(Seen::of(&lab.gate, &ann, bad).is_err());
    let method = "resources/subscribe";
    assert_eq!(lines(), [line(method, good, "success"), line(method, bad, "error")]);
    // A request that stays open has one for each that it names.
    let seen = seen_of(&lab.gate, &ann, &[good.to_owned(), bad.to_owned()], Vec::new());
    assert_eq!(seen.len(), 1);
    let method = "subscriptions/listen";
    assert_eq!(lines(), [line(method, good, "success"), line(method, bad, "error")]);
    // Its end has none.
    drop(seen);
    assert_eq!(lines(), [""; 0]);
    let eve = Caller::new(reader);
    // What she is told and what is written down have one id.
    let Err(Err(told)) = Seen::of(&lab.gate, &eve, good) else { panic!("she may look on") };
    let id = |it: &json::Object| json::get_text(it, "correlation_id").map(str::to_owned);
    assert_eq!(id(&lab.audited()[0]), id(&told.data.unwrap()));
    assert!(Seen::of(&lab.gate, &eve, good).is_err());
    assert!(seen_of(&lab.gate, &eve, &[good.to_owned()], Vec::new()).is_empty());
    let denied = |method: &str| {
        format!(
            r#"{{"args":{{"uri":"{good}"}},"event":"PERMISSION_DENIED","groups":["a"],"required_permission":"power_ops","tool":"{method}","user":"eve"}}"#
        )
    };
    assert_eq!(lines(), [denied("resources/subscribe"), denied("subscriptions/listen")]);
}

#[test]
fn what_a_host_denies_is_written_down_like_what_we_deny() {
    let lab = lab();
    let who = somebody("ann", &["a=admin"]);
    let error = Error::new(Kind::Denied, "the host refused");
    for by_us in [true, false] {
        let mut noted = lab.gate.noted(&who, "resources/read", json::Object::new());
        if by_us {
            noted.denied(Level::Admin);
        }
        noted.end(Some(&error));
        drop(noted);
        let lines = lab.audited();
        let words = ["event", "result"].map(|it| json::get_text(&lines[0], it));
        let wanted = if by_us { [Some("PERMISSION_DENIED"), None] } else { [None, Some("error")] };
        assert_eq!((lines.len(), words), (1, wanted));
    }
}

#[test]
fn completions_know_the_servers_of_the_caller_only() {
    let lab = lab();
    let call = Call::new(Rights::ReadOnly);
    let far = somebody("f", &["a=read@vc"]);
    let complete = |who: &Principal, name: &str, host: Option<&str>| {
        completions::complete(&lab.gate.fleet, who, &call, name, "", host).0
    };
    assert_eq!(complete(&far, "host", None), ["vc"]);
    assert_eq!(complete(&somebody("r", &["a=read"]), "host", None), ["esx", "vc"]);
    assert!(complete(&far, "vm", None).is_empty() && complete(&far, "vm", Some("esx")).is_empty());
    assert!(!complete(&far, "vm", Some("vc")).is_empty());
}
