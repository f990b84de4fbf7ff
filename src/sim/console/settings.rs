//! The simulated appliance's configuration: what can be set, and how it is written down.
//!
//! Text is the only form in which it is kept. Surprising: the text is read back by the same commands
//! that a person types (`commands`), so what cannot be typed cannot be stored.

use std::net::Ipv4Addr;

use crate::sim::console::commands;
use crate::sim::console::commands::Act;
use crate::sim::console::commands::Found;

/// Longest name, word and line of text.
const LONGEST: usize = 240;
/// Users, routes and loopbacks that it takes.
const MOST: usize = 64;
const PORTS: u32 = 4;
const LONGEST_BANNER: usize = 2048;

/// An interface.
#[derive(Clone)]
pub struct Interface {
    /// Written out: `GigabitEthernet0/0`.
    pub name: String,
    /// Whatever a person wrote; empty without.
    pub description: String,
    /// Address and mask.
    pub address: Option<(u32, u32)>,
    /// Switched off by command.
    pub shutdown: bool,
}

/// All that is configured.
pub struct Settings {
    /// The name in the prompt.
    pub hostname: String,
    /// Asked by `enable`; empty for no question.
    pub secret: String,
    /// Names and passwords.
    pub users: Vec<(String, String)>,
    /// In the order in which they are shown.
    pub interfaces: Vec<Interface>,
    /// Network, mask, next hop.
    pub routes: Vec<(u32, u32, u32)>,
    /// Shown, not asked.
    pub name_server: Option<u32>,
    /// The delimiter, and the text before the login.
    pub banner: Option<(char, String)>,
}

/// Whether `no` stands before it, what it is, its arguments.
pub type Asked<'a> = (bool, Act, Vec<&'a str>);

/// Where a configuring session stands: nowhere, at an interface, inside a banner.
#[derive(Default)]
pub struct Place {
    /// Which interface commands are about.
    pub interface: Option<usize>,
    /// A banner whose end did not come yet.
    pub banner: Option<(char, String)>,
}

impl Place {
    /// Which rows of the commands may be typed.
    pub fn mode(&self) -> u8 {
        self.interface.map_or(commands::CONFIG, |_| commands::CONFIG | commands::INTERFACE)
    }
}

impl Settings {
    /// The ports, and nothing set.
    pub fn empty(hostname: &str) -> Settings {
        let port = |number| Interface {
            name: format!("GigabitEthernet0/{number}"),
            description: String::new(),
            address: None,
            shutdown: false,
        };
        Settings {
            hostname: hostname.to_owned(),
            secret: String::new(),
            users: Vec::new(),
            interfaces: (0..PORTS).map(port).collect(),
            routes: Vec::new(),
            name_server: None,
            banner: None,
        }
    }

    /// What `text` says; lines that it does not know are passed over.
    pub fn parse(text: &str) -> Settings {
        let (mut settings, mut place) = (Settings::empty("router"), Place::default());
        for line in text.lines() {
            if let Ok(Some((no, act, arguments))) = settings.understand(&mut place, line) {
                let _ = settings.change(&mut place, act, no, &arguments);
            }
        }
        settings
    }

    /// A line of configuration: what it asks for. The inside of a banner is taken here.
    pub fn understand<'a>(
        &mut self,
        place: &mut Place,
        line: &'a str,
    ) -> Result<Option<Asked<'a>>, Found<'a>> {
        if let Some((delimiter, mut text)) = place.banner.take() {
            let (more, ended) = line.split_once(delimiter).map_or((line, false), |it| (it.0, true));
            text.push_str(more);
            if ended {
                self.banner = Some((delimiter, text));
            } else if text.len() < LONGEST_BANNER {
                text.push('\n');
                place.banner = Some((delimiter, text));
            }
            return Ok(None);
        }
        let trimmed = line.trim_start();
        let (no, rest) = match trimmed.get(..3).map(str::to_ascii_lowercase).as_deref() {
            Some("no ") => (true, &trimmed[3..]),
            _ => (false, trimmed),
        };
        match commands::find(place.mode(), rest, no) {
            Found::Nothing => Ok(None),
            Found::Do(act, arguments) => Ok(Some((no, act, arguments))),
            Found::Invalid(at) => Err(Found::Invalid(at + line.len() - rest.len())),
            other => Err(other),
        }
    }

    /// Carries a line out; what it has against it.
    pub fn change(
        &mut self,
        place: &mut Place,
        act: Act,
        no: bool,
        arguments: &[&str],
    ) -> Result<(), &'static str> {
        if arguments.iter().any(|it| it.len() > LONGEST) {
            return Err("% Too long");
        }
        let first = arguments.first().copied().unwrap_or_default();
        match act {
            Act::Hostname if no => self.hostname = "router".to_owned(),
            Act::Hostname => {
                let good = |it: u8| it.is_ascii_alphanumeric() || b"-_.".contains(&it);
                if first.len() > 63 || !first.bytes().all(good) {
                    return Err("% Hostname contains one or more illegal characters.");
                }
                self.hostname = first.to_owned();
            }
            Act::Secret => self.secret = if no { String::new() } else { first.to_owned() },
            Act::Username => {
                self.users.retain(|it| it.0 != first);
                if let (false, Some(password)) = (no, arguments.get(1)) {
                    within(self.users.len())?;
                    self.users.push((first.to_owned(), (*password).to_owned()));
                }
            }
            Act::Banner => self.open_banner(place, no, first),
            Act::NameServer => self.name_server = if no { None } else { Some(address(first)?) },
            Act::Route => self.route(no, arguments)?,
            Act::Interface => return self.enter(place, no, first),
            _ => return self.change_interface(place, act, no, arguments),
        }
        place.interface = None;
        Ok(())
    }

    fn open_banner(&mut self, place: &mut Place, no: bool, text: &str) {
        let mut rest = text.chars();
        match rest.next() {
            Some(delimiter) if !no => {
                let rest = rest.as_str();
                match rest.split_once(delimiter) {
                    Some((inside, _)) => self.banner = Some((delimiter, inside.to_owned())),
                    None if rest.is_empty() => place.banner = Some((delimiter, String::new())),
                    None => place.banner = Some((delimiter, format!("{rest}\n"))),
                }
            }
            _ => self.banner = None,
        }
    }

    fn route(&mut self, no: bool, arguments: &[&str]) -> Result<(), &'static str> {
        let [network, mask, gateway] = arguments else { return Err("% Incomplete command.") };
        let route = (address(network)?, mask_of(mask)?, address(gateway)?);
        if route.0 & !route.1 != 0 {
            return Err("%Inconsistent address and mask");
        }
        let before = self.routes.len();
        self.routes.retain(|it| *it != route);
        if no {
            return if self.routes.len() < before {
                Ok(())
            } else {
                Err("%No matching route to delete")
            };
        }
        within(self.routes.len())?;
        self.routes.push(route);
        Ok(())
    }

    fn enter(&mut self, place: &mut Place, no: bool, name: &str) -> Result<(), &'static str> {
        let name = interface_name(name).ok_or("% Invalid interface type and number")?;
        let loopback = name.starts_with('L');
        let known = self.interfaces.iter().position(|it| it.name == name);
        match (known, no) {
            (Some(at), true) if loopback => {
                self.interfaces.remove(at);
                place.interface = None;
            }
            (_, true) => return Err("% Removal of physical interfaces is not permitted"),
            (Some(at), _) => place.interface = Some(at),
            (None, _) if loopback => {
                within(self.interfaces.len())?;
                place.interface = Some(self.interfaces.len());
                let (description, address) = (String::new(), None);
                self.interfaces.push(Interface { name, description, address, shutdown: false });
            }
            _ => return Err("% Invalid interface type and number"),
        }
        Ok(())
    }

    fn change_interface(
        &mut self,
        place: &Place,
        act: Act,
        no: bool,
        arguments: &[&str],
    ) -> Result<(), &'static str> {
        let Some(interface) = place.interface.and_then(|at| self.interfaces.get_mut(at)) else {
            return Ok(());
        };
        match (act, no, arguments) {
            (Act::Shutdown, ..) => interface.shutdown = !no,
            (Act::Description, true, _) => interface.description.clear(),
            (Act::Description, _, [text, ..]) => interface.description = (*text).to_owned(),
            (Act::Address, true, _) => interface.address = None,
            (Act::Address, _, [ip, mask]) => {
                let (ip, mask) = (address(ip)?, mask_of(mask)?);
                let name = interface.name.clone();
                let taken = |it: &Interface| it.address.is_some_and(|it| it.0 == ip);
                if self.interfaces.iter().any(|it| it.name != name && taken(it)) {
                    return Err("% Address is in use by another interface");
                }
                if let Some(interface) = self.interfaces.iter_mut().find(|it| it.name == name) {
                    interface.address = Some((ip, mask));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// As `show running-config` shows it, without its head.
    pub fn text(&self) -> String {
        let mut lines = vec!["!".to_owned(), format!("hostname {}", self.hostname)];
        lines.push("!".to_owned());
        if !self.secret.is_empty() {
            lines.push(format!("enable secret {}", self.secret));
        }
        for (name, password) in &self.users {
            lines.push(format!("username {name} password {password}"));
        }
        lines.push("!".to_owned());
        for interface in &self.interfaces {
            lines.push(format!("interface {}", interface.name));
            if !interface.description.is_empty() {
                lines.push(format!(" description {}", interface.description));
            }
            lines.push(match interface.address {
                Some((ip, mask)) => format!(" ip address {} {}", dotted(ip), dotted(mask)),
                None => " no ip address".to_owned(),
            });
            if interface.shutdown {
                lines.push(" shutdown".to_owned());
            }
            lines.push("!".to_owned());
        }
        for (network, mask, gateway) in &self.routes {
            let route = [network, mask, gateway].map(|it| dotted(*it)).join(" ");
            lines.push(format!("ip route {route}"));
        }
        if let Some(server) = self.name_server {
            lines.push(format!("ip name-server {}", dotted(server)));
        }
        if let Some((delimiter, text)) = &self.banner {
            lines.push("!".to_owned());
            lines.push(format!("banner motd {delimiter}{text}{delimiter}"));
        }
        lines.push("!\nend\n".to_owned());
        lines.join("\n")
    }

    /// The interface that a person means by `gi0/1`.
    pub fn interface(&self, typed: &str) -> Option<&Interface> {
        let name = interface_name(typed)?;
        self.interfaces.iter().find(|it| it.name == name)
    }
}

fn within(count: usize) -> Result<(), &'static str> {
    if count < MOST { Ok(()) } else { Err("% No more resources") }
}

fn address(text: &str) -> Result<u32, &'static str> {
    text.parse().map(Ipv4Addr::to_bits).map_err(|_| "% Invalid address")
}

fn mask_of(text: &str) -> Result<u32, &'static str> {
    let mask = address(text).unwrap_or(1);
    if mask.leading_ones() + mask.trailing_zeros() >= 32 { Ok(mask) } else { Err("% Bad mask") }
}

/// A number as an address is written.
pub fn dotted(bits: u32) -> String {
    Ipv4Addr::from_bits(bits).to_string()
}

/// `gi 0/1` and `Lo3` written out.
fn interface_name(typed: &str) -> Option<String> {
    let typed: String = typed.split_ascii_whitespace().collect();
    let (kind, number) = typed.split_at(typed.find(|it: char| it.is_ascii_digit())?);
    let kind = kind.to_ascii_lowercase();
    let kinds = ["GigabitEthernet", "Loopback"];
    let kind = kinds.iter().find(|it| it.to_ascii_lowercase().starts_with(&kind))?;
    let plain: u32 = number.strip_prefix("0/").unwrap_or(number).parse().ok()?;
    match *kind == "Loopback" {
        true if number.contains('/') => None,
        true => Some(format!("{kind}{plain}")),
        false if number.contains('/') => Some(format!("{kind}0/{plain}")),
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_says_all_and_is_read_back() {
        let typed = "hostname lab-fw\nusername ann password s3cret\nenable secret up\n\
            interface gi 0/1\n description to the lab\n ip address 10.1.2.3 255.255.255.0\n\
            interface Gi0/2\n shutdown\ninterface lo7\n ip address 10.9.9.9 255.255.255.255\n\
            ip route 0.0.0.0 0.0.0.0 10.1.2.1\nip name-server 10.1.2.9\n\
            banner motd ^\nKeep out\nor else\n^\nend\n";
        let text = Settings::parse(typed).text();
        for line in [
            "hostname lab-fw",
            "interface GigabitEthernet0/1\n description to the lab\n ip address 10.1.2.3 255",
            "interface GigabitEthernet0/2\n no ip address\n shutdown\n",
            "interface Loopback7\n",
            "ip route 0.0.0.0 0.0.0.0 10.1.2.1\n",
            "banner motd ^Keep out\nor else\n^\n",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        assert_eq!(Settings::parse(&text).text(), text);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let (mut settings, mut place) = (Settings::empty("r"), Place::default());
        let mut say = |line: &'static str| {
            let (no, act, arguments) = settings.understand(&mut place, line).unwrap().unwrap();
            settings.change(&mut place, act, no, &arguments)
        };
        assert!(say("interface gi0/9").is_err());
        assert!(say("no interface gi0/1").is_err());
        assert!(say("ip route 10.0.0.1 255.0.0.0 10.0.0.2").is_err());
        assert!(say("hostname a/b").is_err());
        assert!(say("interface gi0/0").is_ok());
        assert!(say("ip address 10.0.0.1 255.0.255.0").is_err());
        assert!(say("ip address 10.0.0.1 255.0.0.0").is_ok());
        assert!(say("interface gi0/1").is_ok());
        assert!(say("ip address 10.0.0.1 255.0.0.0").is_err());
        assert!(say("no ip address").is_ok());
        let long = format!("description {}", "x".repeat(1000)).leak();
        assert!(say(long).is_err());
        for number in 0..60 {
            assert!(say(format!("interface lo{number}").leak()).is_ok());
        }
        assert!(say("interface lo99").is_err(), "bounded");
    }
}
