//! Which hosts tools may fetch from: the list of URL_HOSTS, and addresses that no name may lead to.
//!
//! It judges names and addresses and connects to nothing. Surprising: a name that is listed may still
//! not lead to this machine or to a metadata service, since whoever answers for the name decides where
//! it leads; only an address that is listed itself is let through (and `localhost`, which is no
//! stranger's).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::error::{Error, Kind, Result};
use crate::web::no_proxy::in_range;

/// Where a cloud tells a machine its secrets, beside the link-local addresses.
static METADATA: &[&str] = &[
    "100.100.100.200/32",
    "168.63.129.16/32",
    "192.0.0.192/32",
    "fd00:c1::a9fe:a9fe/128",
    "fd00:ec2::/32",
    "fd20:ce::254/128",
];

/// IPv6 addresses that stand for an IPv4 address, and where in them it begins, in bytes.
static CARRIERS: &[(&str, usize)] = &[("::/96", 12), ("64:ff9b::/96", 12), ("2002::/16", 2)];

const ITSELF: &str = "this machine itself";

/// The hosts that may be fetched from.
#[derive(Clone, Debug)]
pub struct Hosts {
    /// Names, `*.name`, addresses and ranges; `None` for any host.
    listed: Option<Vec<String>>,
}

impl Hosts {
    /// Any host.
    pub fn any() -> Hosts {
        Hosts { listed: None }
    }

    /// Those of a list: `name`, `*.name` for all below it, an address, a range such as `10.0.0.0/8`;
    /// `*` is any host, and an empty list none, as `none` is.
    pub fn listed(list: &[String]) -> Hosts {
        let tidy = |it: &String| it.trim_matches(['[', ']']).trim_end_matches('.').to_lowercase();
        let any = list.iter().any(|it| it == "*");
        Hosts { listed: (!any).then(|| list.iter().map(tidy).filter(|it| it != "none").collect()) }
    }

    /// Refuses a host that no address could make welcome, before anybody is asked for its address.
    pub(crate) fn may_ask(&self, host: &str) -> Result<()> {
        let by_address = |it: &String| it.contains(['/', ':']) || it.parse::<IpAddr>().is_ok();
        let hopeful = self.names(host) || self.entries().iter().any(by_address);
        if hopeful { Ok(()) } else { Err(self.unlisted(host)) }
    }

    /// Which of a host's addresses may be connected to.
    pub(crate) fn admit(&self, host: &str, found: &[SocketAddr]) -> Result<Vec<SocketAddr>> {
        let (mut good, mut refusal) = (Vec::new(), None);
        for address in found {
            match self.judge(host, address.ip().to_canonical()) {
                Ok(()) => good.push(*address),
                Err(error) => refusal = refusal.or(Some(error)),
            }
        }
        match refusal {
            Some(refusal) if good.is_empty() => Err(refusal),
            _ if good.is_empty() => Err(self.unlisted(host)),
            _ => Ok(good),
        }
    }

    /// Whether a host may be asked for through a proxy, which will look its address up anew; `found`
    /// is what is known of it here, perhaps nothing.
    pub(crate) fn admit_proxied(&self, host: &str, found: &[SocketAddr]) -> Result<()> {
        if let Some(refusal) = self.refusal(host).filter(|_| found.is_empty()) {
            return Err(refusal);
        }
        found.iter().try_for_each(|it| self.judge(host, it.ip().to_canonical()))
    }

    /// Why a host that has no address would not be asked, if it would not.
    pub(crate) fn refusal(&self, host: &str) -> Option<Error> {
        (!self.names(host)).then(|| self.unlisted(host))
    }

    fn judge(&self, host: &str, address: IpAddr) -> Result<()> {
        let listed = self.entries();
        if listed.iter().any(|it| it.parse().is_ok_and(|it: IpAddr| it.to_canonical() == address)) {
            return Ok(());
        }
        let own_name = host == "localhost" && listed.iter().any(|it| it == host);
        if let Some(what) = forbidden(address)
            && !(own_name && address.is_loopback())
        {
            let said = match host.parse::<IpAddr>() {
                Ok(_) => format!("`{address}` is {what}, from which nothing is fetched"),
                Err(_) => {
                    format!("`{host}` leads to {address}: {what}, from which nothing is fetched")
                }
            };
            return Err(Error::new(Kind::Denied, said)
                .hint("If it is meant, list that address itself in URL_HOSTS"));
        }
        let text = address.to_string();
        let inside = |it: &String| it.contains('/') && in_range(it, &text);
        let welcome = self.names(host) || listed.iter().any(inside);
        if welcome { Ok(()) } else { Err(self.unlisted(host)) }
    }

    fn entries(&self) -> &[String] {
        self.listed.as_deref().unwrap_or_default()
    }

    /// Whether the host is welcome by its name.
    fn names(&self, host: &str) -> bool {
        let Some(listed) = &self.listed else { return true };
        listed.iter().any(|it| match it.strip_prefix("*.") {
            Some(above) => host.strip_suffix(above).is_some_and(|it| it.ends_with('.')),
            None => it == host,
        })
    }

    fn unlisted(&self, host: &str) -> Error {
        let said = format!("nothing may be fetched from `{host}`");
        Error::new(Kind::Denied, said).hint(match self.entries() {
            [] => "URL_HOSTS names the hosts that tools may fetch from, and names none",
            _ => "URL_HOSTS names the hosts that tools may fetch from, and this is none of them",
        })
    }
}

/// What an address is that nothing may be fetched from.
fn forbidden(address: IpAddr) -> Option<&'static str> {
    let text = address.to_string();
    if METADATA.iter().any(|it| in_range(it, &text)) {
        return Some("a cloud's metadata service");
    }
    match address {
        IpAddr::V4(it) if it.octets()[0] == 0 => Some(ITSELF),
        IpAddr::V4(it) if it.is_link_local() => Some("link-local, such as a metadata service"),
        IpAddr::V4(it) if it.is_multicast() || it.octets()[0] >= 240 => Some("no single host"),
        IpAddr::V6(it) if it.is_unspecified() => Some(ITSELF),
        IpAddr::V6(it) if it.is_multicast() => Some("no single host"),
        IpAddr::V6(it) if it.is_unicast_link_local() => Some("link-local"),
        _ if address.is_loopback() || is_own(address) => Some(ITSELF),
        IpAddr::V6(it) => carried(it, &text).and_then(|it| forbidden(IpAddr::V4(it))),
        IpAddr::V4(_) => None,
    }
}

/// The IPv4 address that a translator or tunnel would make of it.
fn carried(address: Ipv6Addr, text: &str) -> Option<Ipv4Addr> {
    let (_, at) = CARRIERS.iter().find(|(range, _)| in_range(range, text))?;
    let octets: [u8; 4] = address.octets().get(*at..at + 4)?.try_into().ok()?;
    Some(Ipv4Addr::from(octets))
}

/// Whether it is one of this machine's own addresses. Nothing is sent: the kernel is asked whether a
/// socket could have it.
fn is_own(address: IpAddr) -> bool {
    // An address for documents; where even that can be had (`ip_nonlocal_bind`), it says nothing.
    let (nobody, all): (IpAddr, IpAddr) = match address {
        IpAddr::V4(_) => (Ipv4Addr::new(192, 0, 2, 1).into(), Ipv4Addr::UNSPECIFIED.into()),
        IpAddr::V6(_) => {
            (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(), Ipv6Addr::UNSPECIFIED.into())
        }
    };
    let can_have = |it: IpAddr| UdpSocket::bind((it, 0)).is_ok();
    if can_have(address) && !can_have(nobody) {
        return true;
    }
    // Who speaks to himself does it from the same address.
    let source = UdpSocket::bind((all, 0)).and_then(|it| {
        it.connect((address, 9))?;
        it.local_addr()
    });
    source.is_ok_and(|it| it.ip() == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(list: Option<&[&str]>, host: &str, found: &[&str]) -> String {
        let own = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let hosts = list.map_or_else(Hosts::any, |list| Hosts::listed(&own(list)));
        let found: Vec<SocketAddr> =
            found.iter().map(|it| SocketAddr::new(it.parse().unwrap(), 80)).collect();
        let good = hosts.may_ask(host).and_then(|()| hosts.admit(host, &found));
        match good {
            Ok(good) => good.iter().map(|it| it.ip().to_string()).collect::<Vec<_>>().join(" "),
            Err(error) => {
                assert_eq!(error.kind(), Kind::Denied);
                error.sentence()
            }
        }
    }

    #[test]
    fn no_name_leads_to_this_machine_or_to_metadata() {
        for address in [
            "127.0.0.1",
            "127.8.9.10",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "168.63.129.16",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd20:ce::254",
        ] {
            for list in [None, Some(&["*"][..]), Some(&["h", "0.0.0.0/0", "::/0"])] {
                let said = admit(list, "h", &[address]);
                assert!(said.contains("from which nothing is fetched"), "{address}: {said}");
            }
            assert_eq!(admit(Some(&[address]), "h", &[address]), address, "listed itself");
        }
        // Laboratories are private.
        for address in
            ["10.1.2.3", "192.168.1.5", "172.16.0.1", "8.8.8.8", "fd12::1", "64:ff9b::808:808"]
        {
            assert_eq!(admit(None, "h", &[address]), address);
        }
        assert_eq!(
            admit(None, "evil.example", &["127.0.0.1"]),
            "`evil.example` leads to 127.0.0.1: this machine itself, from which nothing is fetched"
        );
        // What is good of a mixture is used.
        assert_eq!(admit(None, "h", &["::1", "8.8.8.8", "127.0.0.1"]), "8.8.8.8");
    }

    #[test]
    fn own_addresses_are_known() {
        // Whatever this machine has; from the source of a packet that is never sent.
        let probe = UdpSocket::bind("0.0.0.0:0").unwrap();
        if probe.connect("8.8.8.8:9").is_ok() {
            assert!(is_own(probe.local_addr().unwrap().ip()));
        }
        assert!(is_own("127.0.0.1".parse().unwrap()));
        for stranger in ["192.0.2.7", "8.8.8.8", "2001:db8::7"] {
            assert!(!is_own(stranger.parse().unwrap()), "{stranger}");
        }
    }

    #[test]
    fn the_list_names_hosts_domains_addresses_and_ranges() {
        let list = ["files.lab", "*.example.com", "10.1.0.0/16", "[fd12::5]", "192.168.7.7"];
        for (host, address, good) in [
            ("files.lab", "8.8.8.8", true),
            ("a.files.lab", "8.8.8.8", false),
            ("xfiles.lab", "8.8.8.8", false),
            ("a.b.example.com", "8.8.8.8", true),
            ("example.com", "8.8.8.8", false),
            ("badexample.com", "8.8.8.8", false),
            ("any.lab", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.2.2.3", "10.2.2.3", false),
            ("fd12::5", "fd12::5", true),
            ("192.168.7.7", "::ffff:192.168.7.7", true),
            ("files.lab", "127.0.0.1", false),
        ] {
            let said = admit(Some(&list), host, &[address]);
            assert_eq!(said == address, good, "{host} {address}: {said}");
        }
        assert_eq!(
            admit(Some(&["localhost"]), "localhost", &["::1", "127.0.0.1"]),
            "::1 127.0.0.1"
        );
        assert!(
            admit(Some(&["localhost"]), "localhost", &["169.254.169.254"]).contains("link-local")
        );
        assert_eq!(admit(Some(&["127.0.0.1"]), "localhost", &["::1", "127.0.0.1"]), "127.0.0.1");
        assert_eq!(admit(Some(&[]), "h", &["8.8.8.8"]), "nothing may be fetched from `h`");
        assert_eq!(
            admit(Some(&["none"]), "none", &["8.8.8.8"]),
            "nothing may be fetched from `none`"
        );
        assert_eq!(admit(Some(&["x"]), "h", &[]), "nothing may be fetched from `h`");
    }

    #[test]
    fn through_a_proxy_the_name_counts_and_what_is_known_of_it() {
        let at = |it: &str| SocketAddr::new(it.parse().unwrap(), 80);
        let any = Hosts::any();
        assert!(any.admit_proxied("h", &[]).is_ok());
        assert!(any.admit_proxied("h", &[at("8.8.8.8"), at("127.0.0.1")]).is_err());
        let range = Hosts::listed(&["8.0.0.0/8".to_owned()]);
        assert!(range.admit_proxied("h", &[]).is_err());
        assert!(range.admit_proxied("h", &[at("8.8.8.8")]).is_ok());
        assert!(range.admit_proxied("h", &[at("8.8.8.8"), at("9.9.9.9")]).is_err());
    }
}
