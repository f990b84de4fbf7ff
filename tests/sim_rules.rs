//! What can be chosen of a simulated server, and rules for what goes wrong: whom they hit and whom
//! they must not hit.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

use std::io::Read;
use std::sync::Arc;

use jumpvisor::sim::http::{Body, Request, Service};
use jumpvisor::sim::{Settings, open};

const NOW: &str = "2026-01-15T08:00:00Z";

struct Host(Arc<dyn Service>);

impl Host {
    fn new(rules: &str, version: Option<&str>) -> Host {
        let settings = Settings {
            rules: Some(rules.to_owned()),
            version: version.map(str::to_owned),
            clock: Some(NOW.to_owned()),
            ..Settings::default()
        };
        Host(open(settings).unwrap())
    }

    /// Status, cookie and text of a call's answer.
    fn ask(&self, cookie: &str, body: &str) -> (u16, String, String) {
        let text = format!(
            "<Envelope xmlns=\"http://schemas.xmlsoap.org/soap/envelope/\"><Body>{body}</Body></Envelope>"
        );
        let headers = [
            ("SOAPAction".to_owned(), "urn:vim25/6.5".to_owned()),
            ("Cookie".to_owned(), cookie.to_owned()),
        ];
        let (method, target) = ("POST", "/sdk");
        let mut bytes = text.as_bytes();
        let mut request = Request { method, target, headers: &headers, body: &mut bytes };
        let answer = self.0.answer(&mut request);
        let cookie = answer.headers.iter().find(|(name, _)| *name == "Set-Cookie");
        let cookie =
            cookie.map_or_else(String::new, |(_, it)| it.split(';').next().unwrap().to_owned());
        let mut said = String::new();
        match answer.body {
            Body::Whole(bytes) => said = String::from_utf8(bytes).unwrap(),
            Body::Stream(mut stream, _) => drop(stream.read_to_string(&mut said).unwrap()),
        }
        (answer.status, cookie, said)
    }

    fn login(&self, user: &str) -> String {
        let (status, cookie, said) = self.ask(
            "",
            &format!(
                "<Login xmlns=\"urn:vim25\"><_this type=\"SessionManager\">ha-sessionmgr</_this>\
                 <userName>{user}</userName><password>secret</password></Login>"
            ),
        );
        assert_eq!(status, 200, "{said}");
        cookie
    }

    /// Calls a method of a machine that has no arguments.
    fn call(&self, cookie: &str, id: &str, method: &str) -> (u16, String) {
        let body = format!(
            "<{method} xmlns=\"urn:vim25\"><_this type=\"VirtualMachine\">{id}</_this></{method}>"
        );
        let (status, _, said) = self.ask(cookie, &body);
        (status, said)
    }

    /// How the task in an answer ended.
    fn ended(&self, cookie: &str, said: &str) -> String {
        let task = said.split("type=\"Task\">").nth(1).unwrap().split('<').next().unwrap();
        let body = format!(
            "<Fetch xmlns=\"urn:vim25\"><_this type=\"Task\">{task}</_this><prop>info</prop></Fetch>"
        );
        for _ in 0..1000 {
            let (_, _, info) = self.ask(cookie, &body);
            if !info.contains("<state>running<") {
                return info;
            }
        }
        panic!("the task does not end");
    }
}

#[test]
fn a_rule_for_a_task_hits_no_other() {
    let rule =
        "[{\"method\": \"PowerOnVM_Task\", \"fault\": \"NotEnoughLicenses\", \"in_task\": true}]";
    let host = Host::new(rule, None);
    let (root, viewer) = (host.login("root"), host.login("viewer"));
    // Refused before there is a task, so nothing may be left of the rule.
    let (status, said) = host.call(&viewer, "10", "PowerOnVM_Task");
    assert!(status == 500 && said.contains("NoPermission"), "{said}");
    let (_, said) = host.call(&root, "3", "PowerOffVM_Task");
    let info = host.ended(&root, &said);
    assert!(info.contains("<state>success<"), "{info}");
    let (_, said) = host.call(&root, "10", "PowerOnVM_Task");
    let info = host.ended(&root, &said);
    assert!(info.contains("xsi:type=\"NotEnoughLicenses\""), "{info}");
}

#[test]
fn a_session_that_a_rule_ends_is_ended() {
    let rule = "[{\"method\": \"PowerOffVM_Task\", \"nth\": 1, \"expire_session\": true}]";
    let host = Host::new(rule, None);
    let root = host.login("root");
    let (_, said) = host.call(&root, "3", "PowerOffVM_Task");
    assert!(said.contains("NotAuthenticated"), "{said}");
    let (_, said) = host.call(&root, "3", "PowerOffVM_Task");
    assert!(said.contains("NotAuthenticated"), "{said}");
    let (_, said) = host.call(&host.login("root"), "3", "PowerOffVM_Task");
    assert!(said.contains("type=\"Task\""), "{said}");
}

#[test]
fn an_answer_may_be_padded_cut_or_replaced() {
    let rules = "[{\"method\": \"CurrentTime\", \"nth\": 1, \"answer_bytes\": 5000000},
        {\"method\": \"CurrentTime\", \"nth\": 2, \"status\": 503}]";
    let host = Host::new(rules, None);
    let root = host.login("root");
    let time = "<CurrentTime xmlns=\"urn:vim25\"><_this type=\"ServiceInstance\">ServiceInstance</_this></CurrentTime>";
    let (status, _, said) = host.ask(&root, time);
    assert_eq!((status, said.len()), (200, 5_000_000));
    let (status, _, said) = host.ask(&root, time);
    assert_eq!((status, said.as_str()), (503, ""));
    let (status, _, said) = host.ask(&root, time);
    assert!(status == 200 && said.contains("2026-01-15T08:00:0"), "{said}");
}

#[test]
fn a_server_says_the_version_that_it_speaks() {
    let content = "<RetrieveServiceContent xmlns=\"urn:vim25\"><_this type=\"ServiceInstance\">\
        ServiceInstance</_this></RetrieveServiceContent>";
    let (_, _, said) = Host::new("[]", Some("6.7")).ask("", content);
    assert!(
        said.contains("<apiVersion>6.7</apiVersion>") && said.contains("<version>6.7.0</version>"),
        "{said}"
    );
    assert!(said.contains("<fullName>VMware ESXi 6.7.0 build-"), "{said}");
    assert!(open(Settings { version: Some("5.5".to_owned()), ..Settings::default() }).is_err());
}

#[test]
fn rules_that_could_never_strike_are_refused() {
    for rule in [
        "{\"method\": \"PowerOn\", \"drop\": 1}",
        "{\"path\": \"/sdk\", \"drop\": 1}",
        "{\"method\": \"Login\", \"nth\": 0, \"drop\": 1}",
        "{\"method\": \"Login\", \"every\": 0, \"drop\": 1}",
        "{\"method\": \"Login\", \"drop\": 1, \"in_task\": true}",
        "{\"method\": \"Login\", \"status\": 0}",
    ] {
        let settings = Settings { rules: Some(format!("[{rule}]")), ..Settings::default() };
        let error = open(settings).err().unwrap_or_else(|| panic!("{rule} is taken"));
        assert!(error.to_string().starts_with("rule 1: "), "{error}");
    }
}
