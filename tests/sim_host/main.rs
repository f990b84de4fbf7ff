//! The simulated host itself, asked in SOAP: services, firewall, clock, network, storage, options,
//! licence, rights, maintenance and restart; each method well and badly.
#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod agent;
mod network;
mod power;
mod rights;
mod services;

use jumpvisor::sim::clock::Clock;
use jumpvisor::sim::http::{Body, Request, Service};
use jumpvisor::sim::inventory::{Start, world};
use jumpvisor::sim::service::Simulator;
use jumpvisor::vim::version::Version;

/// A client without any knowledge: text out, text back.
struct Talk {
    host: Simulator,
    cookie: String,
    version: &'static str,
}

impl Talk {
    fn new(user: &str) -> Talk {
        let start = Start {
            vcenter: false,
            machines: None,
            version: Version::newest(),
            now: 1_768_464_000_000,
        };
        let host = Simulator::new(
            world(&start).unwrap(),
            Clock::jumping(start.now),
            jumpvisor::sim::rules::Rules::default(),
        );
        let mut talk = Talk { host, cookie: String::new(), version: "8.0.3.0" };
        let (status, text) = talk.login(user);
        assert_eq!(status, 200, "{text}");
        talk
    }

    fn login(&mut self, user: &str) -> (u16, String) {
        self.cookie.clear();
        let args = format!("<userName>{user}</userName><password>secret</password>");
        self.post("SessionManager", "ha-sessionmgr", "Login", &args)
    }

    fn post(&mut self, kind: &str, id: &str, method: &str, args: &str) -> (u16, String) {
        let text = format!(
            "<?xml version=\"1.0\"?><soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\">\
             <soapenv:Body><{method} xmlns=\"urn:vim25\"><_this type=\"{kind}\">{id}</_this>{args}</{method}>\
             </soapenv:Body></soapenv:Envelope>"
        );
        let headers = [
            ("SOAPAction".to_owned(), format!("\"urn:vim25/{}\"", self.version)),
            ("Cookie".to_owned(), format!("vmware_soap_session=\"{}\"", self.cookie)),
        ];
        let mut body = text.as_bytes();
        let mut request =
            Request { method: "POST", target: "/sdk", headers: &headers, body: &mut body };
        let answer = self.host.answer(&mut request);
        if let Some((_, value)) = answer.headers.iter().find(|it| it.0 == "Set-Cookie") {
            self.cookie = value.split('"').nth(1).unwrap_or_default().to_owned();
        }
        let Body::Whole(bytes) = answer.body else { panic!("a stream") };
        (answer.status, String::from_utf8(bytes).unwrap())
    }

    /// The answer of a call that must succeed.
    fn good(&mut self, on: (&str, &str), method: &str, args: &str) -> String {
        let (status, text) = self.post(on.0, on.1, method, args);
        assert_eq!(status, 200, "{method} {args}: {text}");
        text
    }

    /// A call that must be refused with this fault.
    fn bad(&mut self, on: (&str, &str), method: &str, args: &str, fault: &str) {
        let (status, text) = self.post(on.0, on.1, method, args);
        assert_eq!(status, 500, "{method} {args}: {text}");
        assert!(
            text.contains(&format!("{fault}Fault")) && text.contains(&format!("\"{fault}\"")),
            "{method} {args}: no {fault} in {text}"
        );
    }

    fn fetch(&mut self, on: (&str, &str), path: &str) -> String {
        let args = format!("<prop>{path}</prop>");
        self.good(on, "Fetch", &args)
    }

    /// Waits for a task: state and, of a failed one, the fault.
    fn task(&mut self, answer: &str) -> String {
        let id =
            answer.split("type=\"Task\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
        for _ in 0..400 {
            let info = self.fetch(("Task", &id), "info");
            if !info.contains("<state>running</state>") {
                return info;
            }
            self.pass();
        }
        panic!("the task does not end");
    }

    /// Lets time go on to what happens next.
    fn pass(&mut self) {
        let filter = "<spec><propSet><type>TaskManager</type><pathSet>recentTask</pathSet></propSet>\
             <objectSet><obj type=\"TaskManager\">ha-taskmgr</obj></objectSet></spec><partialUpdates>false</partialUpdates>";
        let collector = ("PropertyCollector", "ha-property-collector");
        self.good(collector, "CreateFilter", filter);
        let first = self.good(collector, "WaitForUpdatesEx", "");
        let version =
            first.split("<version>").nth(1).unwrap().split('<').next().unwrap().to_owned();
        let args = format!(
            "<version>{version}</version><options><maxWaitSeconds>1</maxWaitSeconds></options>"
        );
        self.post(collector.0, collector.1, "WaitForUpdatesEx", &args);
    }
}

const HOST: (&str, &str) = ("HostSystem", "ha-host");
const SERVICES: (&str, &str) = ("HostServiceSystem", "serviceSystem");
const FIREWALL: (&str, &str) = ("HostFirewallSystem", "firewallSystem");
const CLOCK: (&str, &str) = ("HostDateTimeSystem", "dateTimeSystem");
const NETWORK: (&str, &str) = ("HostNetworkSystem", "networkSystem");
const ROLES: (&str, &str) = ("HostVirtualNicManager", "ha-vnic-mgr");
const STORAGE: (&str, &str) = ("HostStorageSystem", "storageSystem");
const STORES: (&str, &str) = ("HostDatastoreSystem", "ha-datastoresystem");
const OPTIONS: (&str, &str) = ("OptionManager", "ha-adv-options");
const AGENT: (&str, &str) = ("OptionManager", "HostAgentSettings");
const LICENCES: (&str, &str) = ("LicenseManager", "ha-license-manager");
const RIGHTS: (&str, &str) = ("AuthorizationManager", "ha-authmgr");
const START: (&str, &str) = ("HostAutoStartManager", "ha-autostart-mgr");
const HEALTH: (&str, &str) = ("HostHealthStatusSystem", "healthStatusSystem");
