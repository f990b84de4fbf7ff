//! A simulated host in the process, and a client that sends it plain text.

use std::io;
use std::io::Read;

use jumpvisor::sim::clock::Clock;
use jumpvisor::sim::http::Body;
use jumpvisor::sim::http::Request;
use jumpvisor::sim::http::Service;
use jumpvisor::sim::inventory::Start;
use jumpvisor::sim::inventory::world;
use jumpvisor::sim::rules::Rules;
use jumpvisor::sim::service::Simulator;
use jumpvisor::vim::version::Version;

pub const FILES: &str = "FileManager:ha-nfc-file-manager";
pub const DISKS: &str = "VirtualDiskManager:ha-vdiskmanager";
pub const BROWSER: &str = "HostDatastoreBrowser:ha-browser-1";

pub struct Host {
    pub simulator: Simulator,
    pub cookie: String,
}

pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|it| it.0 == name).map_or("", |it| &it.1)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Host {
    pub fn new() -> Host {
        let version = Version::parse("8.0.3.0").unwrap();
        let now = 1_768_464_000_000;
        let start = Start { vcenter: false, machines: None, version, now };
        let (world, clock) = (world(&start).unwrap(), Clock::jumping(now));
        let simulator = Simulator::new(world, clock, Rules::default());
        let mut host = Host { simulator, cookie: String::new() };
        let login = "<userName>root</userName><password>secret</password>";
        host.cookie = host.login(login);
        host
    }

    pub fn login(&self, who: &str) -> String {
        let reply = self.post("SessionManager:ha-sessionmgr", "Login", who);
        reply.header("Set-Cookie").split(';').next().unwrap().to_owned()
    }

    pub fn ask(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &mut dyn Read,
    ) -> Reply {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let headers: Vec<(String, String)> = headers.iter().map(own).collect();
        let answer =
            self.simulator.answer(&mut Request { method, target, headers: &headers, body });
        let body = match answer.body {
            Body::Whole(bytes) => bytes,
            Body::Stream(mut stream, _) => {
                let mut all = Vec::new();
                stream.read_to_end(&mut all).unwrap();
                all
            }
        };
        Reply { status: answer.status, headers: answer.headers, body }
    }

    pub fn post(&self, object: &str, method: &str, args: &str) -> Reply {
        let (kind, id) = object.split_once(':').unwrap();
        let text = format!(
            "<Envelope xmlns=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
             xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\"><Body><{method} \
             xmlns=\"urn:vim25\"><_this type=\"{kind}\">{id}</_this>{args}</{method}></Body></Envelope>"
        );
        let headers = [("Cookie", &*self.cookie), ("SOAPAction", "urn:vim25/8.0.3.0")];
        self.ask("POST", "/sdk", &headers, &mut text.as_bytes())
    }

    /// The answer of a call.
    pub fn call(&self, object: &str, method: &str, args: &str) -> String {
        self.post(object, method, args).text().to_owned()
    }

    /// `info` of the task that a call starts, at its end.
    pub fn task(&self, object: &str, method: &str, args: &str) -> String {
        let reply = self.call(object, method, args);
        let id = between(&reply, "<returnval type=\"Task\">", "<");
        assert!(!id.is_empty(), "{reply}");
        self.wait("Task", id, "info", &["success", "error"])
    }

    /// The value of one property.
    pub fn property(&self, kind: &str, id: &str, path: &str) -> String {
        let args = format!(
            "<specSet><propSet><type>{kind}</type><pathSet>{path}</pathSet></propSet><objectSet>\
             <obj type=\"{kind}\">{id}</obj></objectSet></specSet><options/>"
        );
        self.call("PropertyCollector:ha-property-collector", "RetrievePropertiesEx", &args)
    }

    /// Waits as clients do, until the property holds one of these states.
    pub fn wait(&self, kind: &str, id: &str, path: &str, states: &[&str]) -> String {
        let collector = "PropertyCollector:ha-property-collector";
        let filter = format!(
            "<spec><propSet><type>{kind}</type><pathSet>{path}</pathSet></propSet><objectSet>\
             <obj type=\"{kind}\">{id}</obj></objectSet></spec><partialUpdates>false</partialUpdates>"
        );
        let filter = self.call(collector, "CreateFilter", &filter);
        let filter = between(&filter, "<returnval type=\"PropertyFilter\">", "<").to_owned();
        let mut version = String::new();
        for _ in 0..50 {
            let now = self.property(kind, id, path);
            if states.iter().any(|it| now.contains(&format!(">{it}<"))) {
                self.call(&format!("PropertyFilter:{filter}"), "DestroyPropertyFilter", "");
                return now;
            }
            let args = format!("{version}<options><maxWaitSeconds>600</maxWaitSeconds></options>");
            let reply = self.call(collector, "WaitForUpdatesEx", &args);
            version = format!("<version>{}</version>", between(&reply, "<version>", "<"));
        }
        panic!("{kind} {id} never came to {states:?}");
    }

    pub fn folder(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut all = vec![("Cookie", &*self.cookie)];
        all.extend_from_slice(headers);
        self.ask(method, &format!("/folder/{path}"), &all, &mut io::Cursor::new(body))
    }
}

pub fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let rest = text.split_once(from).map_or("", |it| it.1);
    rest.split_once(to).map_or("", |it| it.0)
}
