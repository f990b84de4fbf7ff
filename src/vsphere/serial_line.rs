//! What a network serial port's backing says, and what a caller may ask it to say.
//!
//! Pure. Surprising: a port that was cleared still has a network backing, one that dials port 0 of
//! its own host; and through a concentrator the address is only a word for that one to interpret.

use crate::error::{Error, Result};
use crate::vim::value::Object;
use crate::vsphere::devices::label;

/// The type of every serial port.
pub const PORT: &str = "VirtualSerialPort";
const BACKING: &str = "VirtualSerialPortURIBackingInfo";

/// The rule set of a host's firewall for direct lines.
pub const DIRECT: &str = "remoteSerialPort";
/// The one for lines to a concentrator.
pub const CONCENTRATOR: &str = "vSPC";

/// Where a line is to lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The host listens; `None` on a port that is free.
    Listen(Option<i64>),
    /// The host dials.
    Dial { host: String, port: i64 },
    /// The host dials a concentrator, which is told `label`.
    Concentrator { label: String, server: bool, proxy: String },
}

/// What a caller asks for; each as it was given.
#[derive(Clone, Copy, Debug, Default)]
pub struct Words<'a> {
    pub port: Option<i64>,
    pub server: bool,
    pub concentrator: bool,
    pub address: Option<&'a str>,
    pub proxy: Option<&'a str>,
}

impl Words<'_> {
    /// The target that the words mean together.
    pub fn target(self) -> Result<Target> {
        if self.concentrator {
            let proxy = self.proxy.ok_or_else(|| {
                Error::usage("`via=concentrator` needs `proxy`, the concentrator's address")
                    .hint("Such as proxy=telnet://10.0.0.5:13370, or set SERIAL_ADVERTISE to what hosts dial; or \
                           pass via=direct")
            })?;
            if self.port.is_some() {
                return Err(Error::usage("`port` is for via=direct: a concentrator has its own")
                    .hint("Its port is part of `proxy`"));
            }
            let label = self.address.unwrap_or("jumpvisor").trim();
            if label.is_empty() || label.contains(|c: char| c.is_whitespace() || c.is_control()) {
                return Err(Error::usage("`address` is one word for the concentrator"));
            }
            let (label, server) = (label.to_owned(), self.server);
            return Ok(Target::Concentrator { label, server, proxy: proxy_uri(proxy)? });
        }
        if self.proxy.is_some() {
            return Err(Error::usage("`proxy` is for via=concentrator").hint("Pass that too"));
        }
        match (self.server, self.address) {
            (true, None) => Ok(Target::Listen(self.port)),
            (true, Some(_)) => Err(Error::usage("`address` is for direction=client")
                .hint("A server listens on the host that the VM runs on; pass `port` only")),
            (false, Some(address)) => {
                let (host, port) = endpoint(address, self.port)?;
                Ok(Target::Dial { host, port })
            }
            (false, None) => Err(Error::usage("direction=client needs `address`")
                .hint("Such as address=10.0.0.5:2001, where somebody listens")),
        }
    }
}

/// `host:port`, or `host` and the port beside it; an IPv6 address stands in brackets.
fn endpoint(text: &str, beside: Option<i64>) -> Result<(String, i64)> {
    let wrong = || {
        // Not repeated here: what stands before an `@` may be a password.
        Error::usage("`address` is no host and port to dial")
            .hint("Write it as 10.0.0.5:2001, name:2001 or [fd00::5]:2001")
    };
    let word = text.trim();
    let (host, port) = match word.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (word, None),
    };
    let port = match (port, beside) {
        (None, Some(port)) => port,
        (Some(port), beside) => {
            let digits = port.bytes().all(|it| it.is_ascii_digit());
            let port: i64 = port.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
            if beside.is_some_and(|it| it != port) {
                return Err(Error::usage("`port` and `address` name different ports")
                    .hint("Pass one of them"));
            }
            port
        }
        (None, None) => return Err(wrong()),
    };
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let fits = match bare {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            !host.is_empty() && host.chars().all(plain)
        }
    };
    match fits && (1..=65_535).contains(&port) {
        true => Ok((host.to_owned(), port)),
        false => Err(wrong()),
    }
}

/// A concentrator's address: telnet, plain or over TLS, perhaps with options behind a `#`.
fn proxy_uri(text: &str) -> Result<String> {
    let wrong = || {
        Error::usage("`proxy` is no address of a concentrator")
            .hint("Write it as telnet://10.0.0.5:13370 or telnets://10.0.0.5:13370")
    };
    let word = text.trim();
    let (scheme, rest) = word.split_once("://").ok_or_else(wrong)?;
    let (place, options) = rest.split_once('#').unwrap_or((rest, ""));
    let odd = |c: char| c.is_whitespace() || c.is_control();
    if !matches!(scheme, "telnet" | "telnets") || options.contains(odd) {
        return Err(wrong());
    }
    endpoint(place, None).map_err(|_| wrong())?;
    Ok(word.to_owned())
}

/// A network line, as a backing has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub uri: String,
    /// The host listens, or lets the concentrator do so.
    pub server: bool,
    pub proxy: Option<String>,
}

impl Line {
    /// The line of a port; `None` where a file, a pipe or a device is behind it.
    pub fn of(device: &Object) -> Option<Line> {
        let backing = device.object("backing").filter(|it| it.is("VirtualDeviceURIBackingInfo"))?;
        Some(Line {
            uri: backing.text("serviceURI").unwrap_or_default().to_owned(),
            server: backing.text("direction") == Some("server"),
            proxy: backing.text("proxyURI").filter(|it| !it.is_empty()).map(str::to_owned),
        })
    }

    /// The line that leads nowhere.
    pub fn cleared() -> Line {
        Line { uri: "localhost:0".to_owned(), server: false, proxy: None }
    }

    /// A line to this target, which listens on `port` where the target is to listen.
    pub fn to(protocol: &str, target: &Target, port: i64) -> Line {
        let (uri, server, proxy) = match target {
            Target::Listen(_) => (format!("{protocol}://:{port}"), true, None),
            Target::Dial { host, port } => (format!("{protocol}://{host}:{port}"), false, None),
            Target::Concentrator { label, server, proxy } => {
                (label.clone(), *server, Some(proxy.clone()))
            }
        };
        Line { uri, server, proxy }
    }

    pub fn backing(&self) -> Object {
        Object::new(BACKING)
            .with("serviceURI", self.uri.as_str())
            .with("direction", self.direction())
            .with_some("proxyURI", self.proxy.as_deref())
    }

    pub fn direction(&self) -> &'static str {
        if self.server { "server" } else { "client" }
    }

    /// True where it leads nowhere.
    pub fn is_cleared(&self) -> bool {
        self.proxy.is_none() && !self.server && self.port() == Some(0)
    }

    /// Telnet and its like; a host and port alone are raw TCP.
    pub fn protocol(&self) -> &str {
        self.uri.split_once("://").map_or("tcp", |(scheme, _)| scheme)
    }

    /// Host, perhaps empty, and port, perhaps unreadable.
    fn parts(&self) -> (&str, Option<i64>) {
        let rest = self.uri.split_once("://").map_or(self.uri.as_str(), |(_, rest)| rest);
        let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
        match rest.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()),
            None => (rest, None),
        }
    }

    pub fn port(&self) -> Option<i64> {
        self.parts().1
    }

    /// The port that it takes on its host.
    pub fn listens_on(&self) -> Option<i64> {
        self.port().filter(|_| self.server && self.proxy.is_none())
    }

    /// Host and port to dial; `host` is the address of the machine's host.
    pub fn end(&self, host: &str) -> Option<(String, u16)> {
        let port = self.listens_on().and_then(|it| u16::try_from(it).ok()).filter(|it| *it > 0)?;
        let own = self.parts().0;
        Some((if own.is_empty() { host } else { own }.to_owned(), port))
    }

    /// Where a person dials to get in.
    pub fn dial(&self, host: &str) -> Option<String> {
        let (host, port) = self.end(host)?;
        let host = match host.contains(':') && !host.starts_with('[') {
            true => format!("[{host}]"),
            false => host,
        };
        Some(format!("{}://{host}:{port}", self.protocol()))
    }

    /// The rule set that lets it through the host's firewall; `None` where nothing has to pass.
    pub fn ruleset(&self) -> Option<&'static str> {
        match (&self.proxy, self.is_cleared()) {
            (Some(_), _) => Some(CONCENTRATOR),
            (None, true) => None,
            (None, false) => Some(DIRECT),
        }
    }

    /// For a person: `telnet://:2001 (server)`.
    pub fn shown(&self) -> String {
        match &self.proxy {
            Some(proxy) => format!("`{}` ({}) by {proxy}", self.uri, self.direction()),
            None if self.is_cleared() => "nothing".to_owned(),
            None => format!("`{}` ({})", self.uri, self.direction()),
        }
    }

    /// The same line, however its letters are written.
    pub fn is(&self, other: &Line) -> bool {
        let proxy = |it: &Line| it.proxy.clone().unwrap_or_default().to_lowercase();
        self.server == other.server
            && self.uri.eq_ignore_ascii_case(&other.uri)
            && proxy(self) == proxy(other)
    }
}

/// What is behind a port that has no network line: sort and name.
pub fn behind(device: &Object) -> (&'static str, Option<&str>) {
    let backing = device.object("backing");
    let text = |name: &str| backing.and_then(|it| it.text(name)).filter(|it| !it.is_empty());
    let is = |kind: &str| backing.is_some_and(|it| it.is(kind));
    match () {
        () if is("VirtualDeviceURIBackingInfo") => ("network", text("serviceURI")),
        () if is("VirtualDeviceFileBackingInfo") => ("file", text("fileName")),
        () if is("VirtualDevicePipeBackingInfo") => ("pipe", text("pipeName")),
        () if is("VirtualDeviceDeviceBackingInfo") => ("device", text("deviceName")),
        () => ("other", None),
    }
}

/// The same for a person.
pub fn shown(device: &Object) -> String {
    match (Line::of(device), behind(device)) {
        (Some(line), _) => line.shown(),
        (None, (kind, Some(name))) => format!("{kind} `{name}`"),
        (None, (kind, None)) => kind.to_owned(),
    }
}

/// What a port's state means. `on`: the machine runs.
pub fn diagnosis(device: &Object, on: bool) -> String {
    let flag = |path: &str| device.flag(path) == Some(true);
    let name = label(device);
    let line = Line::of(device);
    if line.as_ref().is_some_and(Line::is_cleared) {
        return format!("{name} leads nowhere; setup_serial_port sets it up");
    }
    if !on {
        let word = if flag("connectable.startConnected") { "opens" } else { "stays closed" };
        return format!("the VM is off; {name} {word} at power-on");
    }
    if !flag("connectable.connected") {
        return format!("{name} is disconnected; connect_serial_port connects it");
    }
    let listens = line.as_ref().is_some_and(|it| it.listens_on().is_some());
    match (device.text("connectable.status"), listens) {
        (Some("ok"), true) => "the host listens".to_owned(),
        (Some("ok"), false) => "it works".to_owned(),
        (Some("recoverableError"), _) => {
            "the other end cannot be reached just now; the host goes on trying".to_owned()
        }
        (Some("unrecoverableError"), true) => {
            "the host cannot listen: the port may be taken by another VM, or the URI be wrong; \
             choose another port"
                .to_owned()
        }
        (Some("unrecoverableError"), false) => {
            "the host has given up: the address may be wrong or the other end refuse; set it up \
             anew, or disconnect and connect it"
                .to_owned()
        }
        _ => "the host has not tried it yet".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(uri: &str, server: bool, proxy: Option<&str>) -> Line {
        Line { uri: uri.to_owned(), server, proxy: proxy.map(str::to_owned) }
    }

    #[test]
    fn words_that_fit_together_are_a_target() {
        let words = Words { server: true, ..Words::default() };
        assert_eq!(words.target().unwrap(), Target::Listen(None));
        let client = |address, port| Words { address: Some(address), port, ..Words::default() };
        for (address, port, host) in [
            ("10.0.0.5:2001", None, "10.0.0.5"),
            ("log.example", Some(2001), "log.example"),
            ("[fd00::5]:2001", None, "[fd00::5]"),
            ("[fd00::5]", Some(2001), "[fd00::5]"),
            (" a-b_c:2001", Some(2001), "a-b_c"),
        ] {
            let host = host.to_owned();
            let target = client(address, port).target().unwrap();
            assert_eq!(target, Target::Dial { host, port: 2001 }, "{address}");
        }
        for bad in ["", ":1", "a:0", "a:65536", "a:+1", "fd00::5:1", "u@h:1", "a b:1", "a/b:1", "a"]
        {
            assert!(client(bad, None).target().is_err(), "{bad}");
        }
        assert!(client("a:1", Some(2)).target().is_err());
        let proxy = |proxy| Words { concentrator: true, server: true, proxy, ..Words::default() };
        assert!(proxy(None).target().unwrap_err().to_string().contains("needs `proxy`"));
        assert!(proxy(Some("telnets://c:1#verify=true")).target().is_ok());
        for bad in ["c:1", "tcp://c:1", "telnet://c", "telnet://u:p@c:1", "telnet://c:1/x"] {
            assert!(proxy(Some(bad)).target().is_err(), "{bad}");
        }
        assert!(Words { address: Some("a:1"), ..words }.target().is_err());
        assert!(Words { proxy: Some("telnet://c:1"), ..words }.target().is_err());
        assert!(Words::default().target().is_err());
    }

    #[test]
    fn a_line_says_where_to_dial_and_what_must_pass() {
        let it = line("telnet://:2001", true, None);
        assert_eq!(it.dial("10.0.0.1").unwrap(), "telnet://10.0.0.1:2001");
        assert_eq!(it.dial("fd00::1").unwrap(), "telnet://[fd00::1]:2001");
        assert_eq!((it.listens_on(), it.ruleset()), (Some(2001), Some(DIRECT)));
        let own = line("tcp+ssl://10.9.9.9:2001#verify=false", true, None);
        assert_eq!(own.dial("10.0.0.1").unwrap(), "tcp+ssl://10.9.9.9:2001");
        let out = line("10.0.0.5:99", false, None);
        assert_eq!((out.protocol(), out.port(), out.listens_on()), ("tcp", Some(99), None));
        let by = line("word", true, Some("telnet://c:1"));
        assert_eq!((by.dial("h"), by.listens_on(), by.ruleset()), (None, None, Some(CONCENTRATOR)));
        assert!(Line::cleared().is_cleared() && Line::cleared().ruleset().is_none());
        assert_eq!(line("tcp://5000", true, None).listens_on(), None);
        assert!(it.is(&line("TELNET://:2001", true, None)) && !it.is(&own));
    }

    #[test]
    fn a_target_becomes_a_backing_and_a_backing_a_line() {
        for (target, line) in [
            (Target::Listen(None), line("telnet://:2005", true, None)),
            (Target::Dial { host: "h".into(), port: 7 }, line("telnet://h:7", false, None)),
            (
                Target::Concentrator {
                    label: "w".into(),
                    server: true,
                    proxy: "telnet://c:1".into(),
                },
                line("w", true, Some("telnet://c:1")),
            ),
        ] {
            assert_eq!(Line::to("telnet", &target, 2005), line);
            assert_eq!(Line::of(&Object::new(PORT).with("backing", line.backing())), Some(line));
        }
    }

    #[test]
    fn a_port_says_what_is_wrong_with_it() {
        let port = |line: Object, status: &str, connected: bool| {
            let way = Object::new("VirtualDeviceConnectInfo")
                .with("startConnected", true)
                .with("connected", connected)
                .with("status", status);
            Object::new(PORT).with("backing", line).with("connectable", way)
        };
        let listens = || line("telnet://:2001", true, None).backing();
        let dials = || line("telnet://h:1", false, None).backing();
        let file = Object::new("VirtualSerialPortFileBackingInfo").with("fileName", "[ds] a/b.log");
        for (device, on, said) in [
            (port(listens(), "ok", true), true, "the host listens"),
            (port(dials(), "ok", true), true, "it works"),
            (port(listens(), "unrecoverableError", true), true, "taken by another VM"),
            (port(dials(), "unrecoverableError", true), true, "given up"),
            (port(dials(), "recoverableError", true), true, "goes on trying"),
            (port(dials(), "untried", true), true, "not tried"),
            (port(dials(), "ok", false), true, "connect_serial_port"),
            (port(listens(), "untried", false), false, "opens at power-on"),
            (port(Line::cleared().backing(), "untried", false), false, "leads nowhere"),
            (port(file.clone(), "ok", true), true, "it works"),
        ] {
            let told = diagnosis(&device, on);
            assert!(told.contains(said), "{told}");
        }
        let device = port(file, "ok", true);
        assert_eq!(behind(&device), ("file", Some("[ds] a/b.log")));
        assert_eq!(shown(&device), "file `[ds] a/b.log`");
        assert_eq!(Line::of(&device), None);
    }
}
