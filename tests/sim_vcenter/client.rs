//! A client that writes its requests by hand, and reads answers as text.

use std::sync::Arc;

use jumpvisor::sim::clock::Clock;
use jumpvisor::sim::http::{Body, Request, Service};
use jumpvisor::sim::inventory::{Start, world};
use jumpvisor::sim::service::Simulator;
use jumpvisor::vim::version::Version;

/// 2026-03-04T12:00:00Z, on a whole day of no interval.
pub const NOW: i64 = 1_772_625_600_000;

/// A client of one simulated server.
pub struct Client {
    /// The server.
    pub server: Arc<Simulator>,
    cookie: String,
}

impl Client {
    pub fn new(vcenter: bool, machines: Option<u32>) -> Client {
        let version = Version::parse("8.0.3.0").unwrap();
        let start = Start { vcenter, machines, version, now: NOW };
        let server = Simulator::new(
            world(&start).unwrap(),
            Clock::jumping(NOW),
            jumpvisor::sim::rules::Rules::default(),
        );
        let mut client = Client { server: Arc::new(server), cookie: String::new() };
        client.login("root", "secret");
        client
    }

    pub fn login(&mut self, user: &str, password: &str) -> String {
        self.cookie.clear();
        let this = if self.server.world().vcenter { "SessionManager" } else { "ha-sessionmgr" };
        let text = format!("<userName>{user}</userName><password>{password}</password>");
        self.call(&format!("SessionManager:{this}"), "Login", &text)
    }

    /// Sends bytes; status and body come back.
    pub fn send(
        &mut self,
        method: &str,
        target: &str,
        more: &[(&str, &str)],
        body: &str,
    ) -> (u16, String) {
        let mut headers: Vec<(String, String)> =
            more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        if !self.cookie.is_empty() {
            headers.push(("Cookie".into(), format!("vmware_soap_session=\"{}\"", self.cookie)));
        }
        let mut bytes = body.as_bytes();
        let mut request = Request { method, target, headers: &headers, body: &mut bytes };
        let answer = self.server.answer(&mut request);
        for (name, value) in &answer.headers {
            if *name == "Set-Cookie" {
                self.cookie = value.split('"').nth(1).unwrap().to_owned();
            }
        }
        let Body::Whole(bytes) = answer.body else { panic!("a stream") };
        (answer.status, String::from_utf8(bytes).unwrap())
    }

    /// Calls a method of `Type:id`; a fault comes back as text too.
    pub fn call(&mut self, this: &str, method: &str, args: &str) -> String {
        let (kind, id) = this.split_once(':').unwrap();
        let text = format!(
            "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
             xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\"><soapenv:Body>\
             <{method} xmlns=\"urn:vim25\"><_this type=\"{kind}\">{id}</_this>{args}</{method}>\
             </soapenv:Body></soapenv:Envelope>"
        );
        let (_, text) = self.send("POST", "/sdk", &[("SOAPAction", "urn:vim25/8.0.3.0")], &text);
        assert!(!text.contains("RuntimeFault\""), "{method}: {text}");
        text
    }

    /// A property, as XML.
    pub fn get(&mut self, this: &str, path: &str) -> String {
        self.call(this, "Fetch", &format!("<prop>{path}</prop>"))
    }

    /// Calls, and lets the task that it answers end; the task's info comes back.
    pub fn task(&mut self, this: &str, method: &str, args: &str) -> String {
        let answer = self.call(this, method, args);
        let Some(task) = between(&answer, "<returnval type=\"Task\">", "<") else { return answer };
        let task = task.to_owned();
        self.server.world().now += 1;
        for _ in 0..2000 {
            let info = self.get(&format!("Task:{task}"), "info");
            if !info.contains("<state>running") {
                return info;
            }
        }
        panic!("{method} does not end");
    }
}

/// The text between two others.
pub fn between<'a>(text: &'a str, from: &str, upto: &str) -> Option<&'a str> {
    let rest = &text[text.find(from)? + from.len()..];
    rest.split(upto).next()
}

pub fn all<'a>(text: &'a str, element: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    text.split(&open).skip(1).filter_map(|it| it.split(&close).next()).collect()
}

/// The id in an answer that is a reference.
pub fn made(text: &str) -> String {
    let returned = between(text, "<returnval", "</returnval>").unwrap_or_else(|| panic!("{text}"));
    returned.rsplit('>').next().unwrap().to_owned()
}
