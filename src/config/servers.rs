//! The servers: `ESXI_HOST`, `ESXI_HOST_1` ... and `VCENTER_HOST`, each from one source only.
//!
//! It knows no other option. Surprising: the rule of one source is there because a file that sets
//! only `ESXI_HOST` would send the password of the environment to a host of its choice. TLS
//! settings are inherited together or not at all, and a systemd credential joins any source but
//! the `.env` of the working directory.

use std::path::{Path, PathBuf};

use crate::config::endpoint::Endpoint;
use crate::config::environment::Environment;
use crate::config::names::numbered;
use crate::config::problem::{Problem, Problems};
use crate::config::sources::{self, Entry, Place, Settings};
use crate::config::value::{self, Value};
use crate::text::order;
use crate::text::secret::Secret;
use crate::text::sorted::Sorted;

/// Which names configured a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `ESXI_*`.
    Esxi,
    /// `VCENTER_*`.
    Vcenter,
}

/// How the certificate of a server is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// By the trusted roots of this machine.
    System,
    /// By the CA certificates in this PEM file.
    CaFile(PathBuf),
    /// It must be the one with this SHA-256 digest.
    Fingerprint([u8; 32]),
    /// Not at all.
    Insecure,
}

/// One server, ready to be connected to.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// What tools call it; unique, compared without case.
    pub name: String,
    /// Which names configured it.
    pub family: Family,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// The account.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// How its certificate is judged.
    pub trust: Trust,
    /// Default for tools that name none; always none for `ESXI_*`.
    pub datacenter: Option<String>,
    /// Default for tools that name none; always none for `ESXI_*`.
    pub cluster: Option<String>,
    /// Default for tools that name none.
    pub datastore: Option<String>,
    /// Default for tools that name none.
    pub network: Option<String>,
}

impl Family {
    fn prefix(self) -> &'static str {
        match self {
            Family::Esxi => "ESXI",
            Family::Vcenter => "VCENTER",
        }
    }

    fn password(self) -> &'static str {
        match self {
            Family::Esxi => "PASS",
            Family::Vcenter => "PASSWORD",
        }
    }

    fn name(self, part: &str, number: u16) -> String {
        numbered(&format!("{}_{part}", self.prefix()), number)
    }
}

/// What [`servers`] finds.
pub struct Servers<'a> {
    /// The servers, the default first.
    pub all: Vec<ServerConfig>,
    /// The settings that they are made of, inherited ones once.
    pub used: Vec<&'a Entry>,
}

const ONE_SOURCE: &str =
    "address, user, password and TLS settings of one server come from one source";

/// Makes the servers of both families.
pub fn servers<'a>(
    settings: &'a Settings,
    environment: &Environment,
    problems: &mut Problems,
) -> Servers<'a> {
    let (used, secrets, names) = (Vec::new(), Sorted::new(), Vec::new());
    let mut maker = Maker { settings, environment, problems, used, secrets, names };
    let mut all = Vec::new();
    for family in [Family::Esxi, Family::Vcenter] {
        let numbers = maker.numbers(family);
        maker.refuse_strays(family);
        all.extend(numbers.into_iter().filter_map(|number| maker.server(family, number)));
    }
    Servers { all, used: maker.used }
}

struct Maker<'a, 'b> {
    settings: &'a Settings,
    environment: &'b Environment,
    problems: &'b mut Problems,
    used: Vec<&'a Entry>,
    /// Secrets so far, so that a file (perhaps a pipe) is read once for all who inherit it.
    secrets: Sorted<(Place, String), Option<Secret>>,
    /// Names so far, in lower case, each with the setting of its host.
    names: Vec<(String, String)>,
}

impl<'a> Maker<'a, '_> {
    /// Every setting of a family, by name.
    fn family(&self, family: Family) -> impl Iterator<Item = &'a Entry> + use<'a> {
        let own = move |entry: &&Entry| entry.named.option.name.starts_with(family.prefix());
        self.settings.all().filter(own)
    }

    fn hosts(&self, family: Family) -> Vec<&'a Entry> {
        let is_host = |entry: &&Entry| entry.named.option.name.ends_with("_HOST");
        self.family(family).filter(is_host).collect()
    }

    /// The numbers of the servers up to the first gap.
    fn numbers(&mut self, family: Family) -> Vec<u16> {
        let hosts = self.hosts(family);
        let all = hosts.iter().map(|entry| entry.named.number).collect();
        let mut set = order::by(all, &u16::cmp);
        set.dedup();
        let mut gap = 1;
        while set.contains(&gap) {
            gap += 1;
        }
        for entry in hosts.iter().filter(|entry| entry.named.number > gap) {
            let text = format!(
                "is set, but `{}` is not: number the hosts without a gap",
                family.name("HOST", gap)
            );
            self.problems.add(self.settings.problem(entry, text));
        }
        set.into_iter().filter(|&number| number < gap).collect()
    }

    /// Refuses settings of a server that is nowhere, and connection settings whose source has
    /// no host for them.
    fn refuse_strays(&mut self, family: Family) {
        let hosts = self.hosts(family);
        for entry in self.family(family) {
            let number = entry.named.number;
            let inherited = number == 0 && !entry.named.option.name.ends_with("_NAME");
            let mut all = hosts.iter().filter(|host| inherited || host.named.number == number);
            let Some(host) = all.clone().next() else {
                let text = format!("is set, but `{}` is not", family.name("HOST", number));
                self.problems.add(self.settings.problem(entry, text));
                continue;
            };
            if sources::is_connection(entry.named.option)
                && !all.any(|host| self.joins(entry.place, host.place))
            {
                self.problems.add(self.mixed(entry, host));
            }
        }
    }

    /// True if a setting from one source may go with a host from another.
    fn joins(&self, place: Place, host: Place) -> bool {
        place == host
            || (place == Place::Credential && !(host == Place::File && self.settings.file_is_local))
    }

    fn mixed(&self, entry: &Entry, host: &Entry) -> Problem {
        let (from, other) = (self.settings.origin(entry), self.settings.origin(host));
        let text = format!("from {from}, but `{}` from {other}: {ONE_SOURCE}", host.written);
        self.settings.problem(entry, text)
    }

    /// Makes one server; none if something is missing or wrong, which is then reported.
    fn server(&mut self, family: Family, number: u16) -> Option<ServerConfig> {
        let host = self.settings.winner(&family.name("HOST", number))?;
        self.used(host);
        let endpoint = match value_of(host) {
            Some(Value::Server(endpoint)) => Some(endpoint),
            _ => None,
        };
        let name = self.server_name(family, host, endpoint.as_ref());
        let user = self.wanted(family, "USER", host).and_then(text_of);
        let password = self.wanted(family, family.password(), host);
        let password = password.and_then(|entry| self.revealed(entry));
        let trust = self.trust(family, host);
        Some(ServerConfig {
            family,
            datacenter: self.default(family, "DATACENTER", number),
            cluster: self.default(family, "CLUSTER", number),
            datastore: self.default(family, "DATASTORE", number),
            network: self.default(family, "NETWORK", number),
            name: name?,
            endpoint: endpoint?,
            user: user?,
            password: password?,
            trust: trust?,
        })
    }

    fn used(&mut self, entry: &'a Entry) {
        if !self.used.iter().any(|it| std::ptr::eq(*it, entry)) {
            self.used.push(entry);
        }
    }

    /// A setting with exactly this number that may go with the host.
    fn beside(&self, family: Family, part: &str, number: u16, host: &Entry) -> Option<&'a Entry> {
        let entries = self.settings.of(&family.name(part, number));
        entries.iter().find(|entry| self.joins(entry.place, host.place))
    }

    /// The user or the password of a host, its own or inherited.
    fn wanted(&mut self, family: Family, part: &str, host: &'a Entry) -> Option<&'a Entry> {
        let number = host.named.number;
        let found =
            self.beside(family, part, number, host).or_else(|| self.beside(family, part, 0, host));
        if let Some(entry) = found {
            self.used(entry);
            return found;
        }
        let names = [family.name(part, number), family.name(part, 0)];
        let elsewhere = names.iter().find_map(|name| self.settings.winner(name));
        let problem = match elsewhere {
            Some(entry) => self.mixed(entry, host),
            None => Problem::new(&names[0], format!("is not set, `{}` wants it", host.written)),
        };
        self.problems.add(problem);
        None
    }

    fn revealed(&mut self, entry: &'a Entry) -> Option<Secret> {
        let key = (entry.place, entry.written.clone());
        if let Some(known) = self.secrets.get(&key) {
            return known.clone();
        }
        let revealed = sources::reveal(entry, self.environment);
        if let Err(fault) = &revealed {
            self.problems.add(self.settings.problem(entry, fault));
        }
        self.secrets.get_or(key, || revealed.ok()).clone()
    }

    /// The TLS settings of a host; all of its own, or else all inherited.
    fn trust(&mut self, family: Family, host: &'a Entry) -> Option<Trust> {
        let parts = ["INSECURE", "CA_FILE", "FINGERPRINT"];
        let number = host.named.number;
        let mut found = parts.map(|part| self.beside(family, part, number, host));
        if found.iter().all(Option::is_none) {
            found = parts.map(|part| self.beside(family, part, 0, host));
        }
        found.into_iter().flatten().for_each(|entry| self.used(entry));
        let [insecure, ca_file, fingerprint] = found;
        let insecure = match insecure.map(value_of) {
            Some(Some(Value::Flag(on))) => on.then_some(insecure).flatten(),
            Some(_) => return None,
            None => None,
        };
        let all = [insecure, ca_file, fingerprint];
        let mut set = all.into_iter().flatten();
        let first = set.next();
        if let (Some(first), Some(second)) = (first, set.next()) {
            let text = format!("cannot go with `{}`, keep one of them", first.written);
            self.problems.add(self.settings.problem(second, text));
            return None;
        }
        match first {
            None => Some(Trust::System),
            Some(_) if insecure.is_some() => Some(Trust::Insecure),
            Some(entry) => match value_of(entry)? {
                Value::Fingerprint(digest) => Some(Trust::Fingerprint(digest)),
                Value::Text(path) => self.ca_file(entry, path),
                _ => None,
            },
        }
    }

    fn ca_file(&mut self, entry: &Entry, path: String) -> Option<Trust> {
        match self.environment.probe(Path::new(&path)) {
            Ok(()) => Some(Trust::CaFile(PathBuf::from(path))),
            Err(why) => {
                let text = format!("`{}` {}", crate::error::quoted(&path), why.words());
                self.problems.add(self.settings.problem(entry, text));
                None
            }
        }
    }

    /// A default for tools, own or inherited; it may come from any source.
    fn default(&mut self, family: Family, part: &str, number: u16) -> Option<String> {
        let own = self.settings.winner(&family.name(part, number));
        let entry = own.or_else(|| self.settings.winner(&family.name(part, 0)))?;
        self.used(entry);
        text_of(entry)
    }

    /// The name of a server: its own, or its host as given. Two equal ones are refused.
    fn server_name(
        &mut self,
        family: Family,
        host: &'a Entry,
        endpoint: Option<&Endpoint>,
    ) -> Option<String> {
        let given = self.settings.winner(&family.name("NAME", host.named.number));
        let name = match given {
            Some(entry) => {
                self.used(entry);
                text_of(entry)?
            }
            None => endpoint?.label(),
        };
        let source = given.unwrap_or(host);
        let folded = name.to_lowercase();
        if folded == "all" {
            let text = "`all` means every server, choose another name";
            self.problems.add(self.settings.problem(source, text));
        }
        match self.names.iter().find(|(known, _)| *known == folded) {
            Some((_, other)) => {
                let text = format!(
                    "`{name}` is the name of `{other}` already, give each server a name of its \
                     own (`ESXI_NAME`, `ESXI_NAME_1`, ...)"
                );
                self.problems.add(self.settings.problem(source, text));
            }
            None => self.names.push((folded, host.named.canonical.clone())),
        }
        Some(name)
    }
}

/// The checked value of a setting; none if it is wrong, which is reported with all the others.
fn value_of(entry: &Entry) -> Option<Value> {
    value::check(entry.named.option.kind, entry.value.reveal()).ok()
}

fn text_of(entry: &Entry) -> Option<String> {
    match value_of(entry)? {
        Value::Text(text) => Some(text),
        _ => None,
    }
}
