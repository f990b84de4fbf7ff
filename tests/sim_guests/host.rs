//! A simulated host in the process, and how these tests ask it: SOAP and HTTP written by hand.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use jumpvisor::sim::clock::Clock;
use jumpvisor::sim::guests;
use jumpvisor::sim::http::{Body, Request, Service as _};
use jumpvisor::sim::inventory::{Start, world};
use jumpvisor::sim::rules::Rules;
use jumpvisor::sim::service::Simulator;
use jumpvisor::vim::value::{Object, Value};
use jumpvisor::vim::version::Version;

pub const PATIENCE: Duration = Duration::from_secs(5);
pub const AUTH: &str = "<auth xsi:type=\"NamePasswordAuthentication\"><interactiveSession>false\
                    </interactiveSession><username>root</username><password>secret</password></auth>";
pub const FILES: &str = "GuestFileManager ha-guest-operations-file-manager";
pub const PROCESSES: &str = "GuestProcessManager ha-guest-operations-process-manager";

pub struct Host {
    pub simulator: Simulator,
    pub cookie: String,
}

impl Host {
    pub fn new() -> Host {
        Host::of(None)
    }

    pub fn of(machines: Option<u32>) -> Host {
        let clock = Clock::jumping(1_767_600_000_000);
        let version = Version::parse("8.0.3.0").unwrap();
        let start = Start { vcenter: false, machines, version, now: clock.now() };
        let simulator = Simulator::new(world(&start).unwrap(), clock, Rules::default());
        let mut host = Host { simulator, cookie: String::new() };
        host.login("root");
        host
    }

    pub fn login(&mut self, user: &str) {
        let body = format!("<userName>{user}</userName><password>secret</password>");
        let (status, text) = self.soap("SessionManager ha-sessionmgr", "Login", &body);
        assert_eq!(status, 200, "{text}");
    }

    pub fn http(
        &mut self,
        method: &str,
        target: &str,
        body: &[u8],
        auth: &[(&str, &str)],
    ) -> (u16, Vec<u8>) {
        let mut headers: Vec<(String, String)> =
            auth.iter().map(|it| (it.0.to_owned(), it.1.to_owned())).collect();
        headers.push(("Content-Length".to_owned(), body.len().to_string()));
        let mut body = body;
        let mut request = Request { method, target, headers: &headers, body: &mut body };
        let answer = self.simulator.answer(&mut request);
        for (name, value) in &answer.headers {
            if *name == "Set-Cookie" {
                self.cookie = value.split(';').next().unwrap().to_owned();
            }
        }
        let Body::Whole(bytes) = answer.body else { panic!("a stream") };
        (answer.status, bytes)
    }

    /// `this` is a type and an id.
    pub fn soap(&mut self, this: &str, method: &str, args: &str) -> (u16, String) {
        let (kind, id) = this.split_once(' ').unwrap();
        let text = format!(
            "<?xml version=\"1.0\"?><soapenv:Envelope \
             xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body>\
             <{method} xmlns=\"urn:vim25\"><_this type=\"{kind}\">{id}</_this>{args}</{method}>\
             </soapenv:Body></soapenv:Envelope>"
        );
        let cookie = self.cookie.clone();
        let headers = [("SOAPAction", "\"urn:vim25/8.0.3.0\""), ("Cookie", cookie.as_str())];
        let (status, bytes) = self.http("POST", "/sdk", text.as_bytes(), &headers);
        (status, String::from_utf8(bytes).unwrap())
    }

    pub fn call(&mut self, this: &str, method: &str, args: &str) -> String {
        let (status, text) = self.soap(this, method, args);
        assert_eq!(status, 200, "{method}: {text}");
        text
    }

    pub fn fault(&mut self, this: &str, method: &str, args: &str) -> String {
        let (status, text) = self.soap(this, method, args);
        assert_eq!(status, 500, "{method}: {text}");
        text
    }

    /// A guest operation as root.
    pub fn guest(&mut self, this: &str, method: &str, machine: &str, args: &str) -> String {
        let vm = self.vm(machine);
        let user = if machine == "dc01" { "Administrator" } else { "root" };
        let auth = AUTH.replace("root", user);
        self.call(this, method, &format!("<vm type=\"VirtualMachine\">{vm}</vm>{auth}{args}"))
    }

    pub fn vm(&self, name: &str) -> String {
        let world = self.simulator.world();
        world.machines.values().find(|it| it.name == name).unwrap().id.clone()
    }

    pub fn on(&self, name: &str) -> String {
        format!("VirtualMachine {}", self.vm(name))
    }

    /// Lets the world's time pass: one who waits jumps there, as long as something is still due.
    pub fn wait(&mut self, seconds: i64) {
        let until = {
            let mut world = self.simulator.world();
            world.later(seconds * 1000 + 100, Box::new(|_| {}));
            world.now + seconds * 1000
        };
        let options = format!("<options><maxWaitSeconds>{seconds}</maxWaitSeconds></options>");
        self.call("PropertyCollector ha-property-collector", "WaitForUpdatesEx", &options);
        assert!(self.simulator.world().now >= until);
    }

    pub fn task(&mut self, this: &str, method: &str) -> String {
        let id = tag(&self.call(this, method, ""), "returnval");
        self.wait(2);
        let world = self.simulator.world();
        let info = world.property(&world.reference(&id).unwrap(), "info").unwrap();
        let info = info.as_object().unwrap();
        assert_eq!(info.text("state"), Some("success"), "{info:?}");
        info.text("result").unwrap_or_default().to_owned()
    }

    pub fn run(&mut self, machine: &str, arguments: &str) -> i64 {
        let spec = format!(
            "<spec><programPath>/bin/sh</programPath><arguments>{arguments}</arguments></spec>"
        );
        let pid = self.guest(PROCESSES, "StartProgramInGuest", machine, &spec);
        tag(&pid, "returnval").parse().unwrap()
    }

    pub fn keys(&mut self, machine: &str, text: &str) {
        let event = |key: char| {
            let (code, shift) = match key {
                'a'..='z' => (u32::from(key) - u32::from('a') + 4, false),
                '\n' => (0x28, false),
                ' ' => (0x2c, false),
                '/' => (0x38, false),
                '.' => (0x37, false),
                other => panic!("no key for {other}"),
            };
            format!(
                "<keyEvents><usbHidCode>{}</usbHidCode><modifiers><leftShift>{shift}</leftShift>\
                 </modifiers></keyEvents>",
                code << 16 | 7
            )
        };
        let events: String = text.chars().map(event).collect();
        let sent =
            self.call(&self.on(machine), "PutUsbScanCodes", &format!("<spec>{events}</spec>"));
        assert_eq!(tag(&sent, "returnval"), text.chars().count().to_string());
    }

    /// What stands on a machine's screen.
    pub fn screen(&self, machine: &str) -> String {
        let id = self.vm(machine);
        let inside = guests::inside(&mut self.simulator.world(), &id).unwrap();
        guests::locked(&inside).screen().rows().join("\n").trim_end().to_owned()
    }

    /// Connects a machine's serial port or disconnects it, as `ReconfigVM_Task` does.
    pub fn connect(&mut self, machine: &str, connected: bool) {
        let id = self.vm(machine);
        let mut port = {
            let world = self.simulator.world();
            let info = world.machine(&id).unwrap().info();
            let mut ports = info.objects("hardware.device").filter(|it| it.is("VirtualSerialPort"));
            ports.next().unwrap().clone()
        };
        let Some(Value::Object(connectable)) = port.field_mut("connectable") else { panic!() };
        connectable.set("connected", connected);
        self.device(machine, port);
    }

    /// Gives a machine a serial port that is connected.
    pub fn serial(&mut self, machine: &str, backing: Object) {
        let connectable = Object::new("VirtualDeviceConnectInfo")
            .with("startConnected", true)
            .with("allowGuestControl", true)
            .with("connected", true);
        let port = Object::new("VirtualSerialPort")
            .with("key", 9000)
            .with("backing", backing)
            .with("connectable", connectable)
            .with("yieldOnPoll", true);
        self.device(machine, port);
    }

    fn device(&mut self, machine: &str, port: Object) {
        let id = self.vm(machine);
        let mut world = self.simulator.world();
        let machine = world.machine_mut(&id).unwrap();
        let Some(Value::Object(hardware)) = machine.own().field_mut("hardware") else { panic!() };
        let mut devices: Vec<Object> =
            hardware.objects("device").filter(|it| !it.is("VirtualSerialPort")).cloned().collect();
        devices.push(port);
        hardware.set("device", devices);
    }

    pub fn serial_status(&mut self, machine: &str) -> String {
        self.call("ServiceInstance ServiceInstance", "CurrentTime", "");
        let id = self.vm(machine);
        let world = self.simulator.world();
        let info = world.machine(&id).unwrap().info();
        let port = info.objects("hardware.device").find(|it| it.is("VirtualSerialPort")).unwrap();
        port.text("connectable.status").unwrap_or_default().to_owned()
    }
}

pub fn tag(text: &str, name: &str) -> String {
    let from = text.find(&format!("<{name}")).unwrap_or_else(|| panic!("no {name} in {text}"));
    let from = from + text[from..].find('>').unwrap() + 1;
    let end = from + text[from..].find(&format!("</{name}>")).unwrap();
    text[from..end].replace("&amp;", "&")
}

pub fn uri(uri: &str, direction: &str) -> Object {
    Object::new("VirtualSerialPortURIBackingInfo")
        .with("serviceURI", uri)
        .with("direction", direction)
}

/// A port that nothing listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads until this has come.
pub fn until(stream: &mut TcpStream, end: &str) -> String {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&all).contains(end) {
        let count = stream.read(&mut buffer).unwrap_or(0);
        assert!(count > 0, "{end} did not come: {}", all.escape_ascii());
        all.extend(&buffer[..count]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// The path and query of a URL of the host.
pub fn target(url: &str) -> String {
    url.strip_prefix("https://*").unwrap_or_else(|| panic!("{url}")).to_owned()
}
