//! A simulated server in the process and a session with it; answers are text, as they travel.

use std::cell::RefCell;

use jumpvisor::sim::clock::Clock;
use jumpvisor::sim::http::{Body, Request, Service};
use jumpvisor::sim::inventory::{Start, world};
use jumpvisor::sim::service::Simulator;
use jumpvisor::vim::version::Version;

/// Where its time begins: 2026-01-15.
const START: i64 = 1_768_435_200_000;

/// A server, and the cookie of the session.
pub struct Host {
    /// The server itself.
    pub service: Simulator,
    cookie: RefCell<String>,
}

impl Host {
    /// An ESXi host with the dozen, logged in.
    pub fn new() -> Host {
        Host::of(false, None)
    }

    /// One with so many machines instead, or a vCenter; logged in.
    pub fn of(vcenter: bool, machines: Option<u32>) -> Host {
        let version = Version::parse("8.0.3.0").unwrap();
        let world = world(&Start { vcenter, machines, version, now: START }).unwrap();
        let service =
            Simulator::new(world, Clock::jumping(START), jumpvisor::sim::rules::Rules::default());
        let host = Host { service, cookie: RefCell::default() };
        host.login();
        host
    }

    fn login(&self) {
        let manager = self.manager("sessionManager");
        self.ask(
            "Login",
            ("SessionManager", &manager),
            "<userName>root</userName><password>secret</password>",
        );
    }

    /// The id of a manager, by its name in the service content.
    pub fn manager(&self, name: &str) -> String {
        let args = "";
        let content =
            self.ask("RetrieveServiceContent", ("ServiceInstance", "ServiceInstance"), args);
        inner(&content, name).unwrap_or_else(|| panic!("no {name}: {content}"))
    }

    /// One request of any sort: status and body.
    pub fn send(&self, method: &str, target: &str, body: &str) -> (u16, String) {
        let mut headers = vec![("SOAPAction".to_owned(), "urn:vim25/8.0.3.0".to_owned())];
        headers.push(("Cookie".to_owned(), self.cookie.borrow().clone()));
        let mut body = body.as_bytes();
        let mut request = Request { method, target, headers: &headers, body: &mut body };
        let answer = self.service.answer(&mut request);
        if let Some((_, cookie)) = answer.headers.iter().find(|it| it.0 == "Set-Cookie") {
            *self.cookie.borrow_mut() = cookie.split(';').next().unwrap().to_owned();
        }
        let text = match answer.body {
            Body::Whole(bytes) => bytes,
            Body::Stream(mut stream, _) => {
                let mut bytes = Vec::new();
                stream.read_to_end(&mut bytes).unwrap();
                bytes
            }
        };
        (answer.status, String::from_utf8(text).unwrap())
    }

    /// A call: status and the whole answer.
    pub fn call(&self, method: &str, (kind, id): (&str, &str), args: &str) -> (u16, String) {
        let body = format!(
            "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
             xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\"><soapenv:Body>\
             <{method} xmlns=\"urn:vim25\"><_this type=\"{kind}\">{id}</_this>{args}</{method}>\
             </soapenv:Body></soapenv:Envelope>"
        );
        self.send("POST", "/sdk", &body)
    }

    /// A call that must be done.
    pub fn ask(&self, method: &str, this: (&str, &str), args: &str) -> String {
        let (status, text) = self.call(method, this, args);
        assert_eq!(status, 200, "{method} on {this:?}: {text}");
        text
    }

    /// A call that must be refused with this fault.
    pub fn refused(&self, method: &str, this: (&str, &str), args: &str, fault: &str) -> String {
        let (status, text) = self.call(method, this, args);
        assert!(
            status == 500 && text.contains(&format!("xsi:type=\"{fault}\"")),
            "{status} {text}"
        );
        text
    }

    /// A property, as XML; empty where it has no value.
    pub fn get(&self, (kind, id): (&str, &str), path: &str) -> String {
        let collector = self.manager_of_properties();
        let text = self.ask(
            "RetrievePropertiesEx",
            ("PropertyCollector", collector),
            &format!(
                "<specSet><propSet><type>{kind}</type><pathSet>{path}</pathSet></propSet>\
                 <objectSet><obj type=\"{kind}\">{id}</obj></objectSet></specSet><options/>"
            ),
        );
        let from = text.find("<val").map(|at| at + text[at..].find('>').unwrap() + 1);
        from.map_or(String::new(), |from| text[from..text.rfind("</val>").unwrap()].to_owned())
    }

    fn manager_of_properties(&self) -> &'static str {
        match self.service.world().vcenter {
            true => "propertyCollector",
            false => "ha-property-collector",
        }
    }

    /// A call that starts a task; its `info` once it has ended.
    pub fn run(&self, method: &str, this: (&str, &str), args: &str) -> String {
        let text = self.ask(method, this, args);
        let id = inner(&text, "returnval").unwrap();
        let collector = ("PropertyCollector", self.manager_of_properties());
        let filter = self.ask(
            "CreateFilter",
            collector,
            &format!(
                "<spec><propSet><type>Task</type><pathSet>info.state</pathSet></propSet>\
                 <objectSet><obj type=\"Task\">{id}</obj></objectSet></spec>\
                 <partialUpdates>false</partialUpdates>"
            ),
        );
        let filter = inner(&filter, "returnval").unwrap();
        let mut version = String::new();
        for _ in 0..20 {
            let wait = format!(
                "<version>{version}</version><options><maxWaitSeconds>60</maxWaitSeconds></options>"
            );
            let update = self.ask("WaitForUpdatesEx", collector, &wait);
            version = inner(&update, "version").unwrap_or(version);
            if update.contains(">success<") || update.contains(">error<") {
                self.ask("DestroyPropertyFilter", ("PropertyFilter", &filter), "");
                return self.get(("Task", &id), "info");
            }
        }
        panic!("{method} does not end")
    }

    /// A task that must succeed; its result.
    pub fn done(&self, method: &str, this: (&str, &str), args: &str) -> String {
        let info = self.run(method, this, args);
        assert_eq!(inner(&info, "state").unwrap(), "success", "{method} on {this:?}: {info}");
        inner(&info, "result").unwrap_or_default()
    }

    /// A task that must fail with this fault.
    pub fn fails(&self, method: &str, this: (&str, &str), args: &str, fault: &str) -> String {
        let info = self.run(method, this, args);
        assert!(info.contains(&format!("xsi:type=\"{fault}\"")), "{method} on {this:?}: {info}");
        info
    }

    /// The id of a machine by name.
    pub fn vm(&self, name: &str) -> String {
        let world = self.service.world();
        let found = world.machines.values().find(|it| it.name == name);
        found.unwrap_or_else(|| panic!("no {name}")).id.clone()
    }

    /// The paths on datastores that begin so.
    pub fn files(&self, begin: &str) -> Vec<String> {
        let world = self.service.world();
        let own = world.files.all.keys().filter(|it| it.starts_with(begin));
        own.cloned().collect()
    }
}

/// What stands in the first element of this name.
pub fn inner(text: &str, name: &str) -> Option<String> {
    let from = [">", " "].iter().filter_map(|end| text.find(&format!("<{name}{end}"))).min()?;
    let from = from + text[from..].find('>')? + 1;
    let upto = from + text[from..].find(&format!("</{name}>"))?;
    Some(text[from..upto].to_owned())
}

/// How often a text occurs.
pub fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}
