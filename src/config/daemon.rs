//! What `serve` alone needs: where it listens, who may come in, how often.
//!
//! It opens nothing and resolves no name. Surprising: a process on stdio reads the same file and obeys
//! none of this, so what is missing is a mistake only where `serve` would need it.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::auth::level::Level;
use crate::config::problem::{Problem, Problems};
use crate::config::sources::Settings;
use crate::config::value;
use crate::config::values::Values;
use crate::error::quoted;
use crate::text::secret::Secret;

/// The settings of the daemon.
#[derive(Clone, Debug)]
pub struct Daemon {
    /// `MCP_HOST`: a name, an address, with or without a port, or `unix:/path`.
    pub host: String,
    pub port: u16,
    /// Certificate chain and key.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Origins of browsers that may call, as written.
    pub origins: Vec<String>,
    /// Names that clients may address besides the obvious ones.
    pub hosts: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed: addresses and ranges.
    pub proxies: Vec<String>,
    pub oauth: Option<Oauth>,
    /// `RBAC_GROUPS` as written; none for the built-in groups.
    pub groups: Option<Vec<String>>,
    /// The file of keys.
    pub keys: Option<PathBuf>,
    /// Calls a minute; 0 is no limit.
    pub per_user: u32,
    pub per_address: u32,
    pub metrics: Metrics,
}

/// Sign-in by tokens of an issuer.
#[derive(Clone, Debug)]
pub struct Oauth {
    pub issuer: String,
    /// Where clients reach this server.
    pub base: String,
    pub scopes: Vec<String>,
    /// One more audience that tokens may name.
    pub audience: Option<String>,
    pub groups_claim: String,
    /// For opaque tokens: as whom the issuer is asked.
    pub client: Option<(String, Secret)>,
}

/// Where `/metrics` is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Metrics {
    Nowhere,
    /// Beside the endpoint, for whoever may read.
    Beside,
    /// At an address of its own, for whoever reaches it.
    At(String),
}

pub(in crate::config) fn daemon(values: &Values<'_>) -> Daemon {
    let list = |name: &str| value::list(&values.text(name).unwrap_or_default());
    let path = |name: &str| values.text(name).map(PathBuf::from);
    let number = |name: &str| u32::try_from(values.count(name)).unwrap_or(u32::MAX);
    Daemon {
        host: values.text("MCP_HOST").unwrap_or_default(),
        port: u16::try_from(values.count("MCP_PORT")).unwrap_or_default(),
        tls: path("MCP_TLS_CERT").zip(path("MCP_TLS_KEY")),
        origins: list("MCP_ALLOWED_ORIGINS"),
        hosts: list("MCP_ALLOWED_HOSTS"),
        proxies: list("MCP_TRUSTED_PROXIES"),
        oauth: oauth(values),
        groups: values.text("RBAC_GROUPS").map(|it| entries(&it)),
        keys: path("API_KEYS_FILE"),
        per_user: number("RATE_LIMIT_PER_USER"),
        per_address: number("RATE_LIMIT_PER_ADDRESS"),
        metrics: match values.text("METRICS") {
            Some(address) => Metrics::At(address),
            None if values.flag("METRICS") => Metrics::Beside,
            None => Metrics::Nowhere,
        },
    }
}

fn oauth(values: &Values<'_>) -> Option<Oauth> {
    let issuer = values.text("OAUTH_ISSUER_URL").filter(|_| values.flag("OAUTH_ENABLED"))?;
    Some(Oauth {
        issuer,
        base: values.text("OAUTH_BASE_URL").unwrap_or_default(),
        scopes: value::list(&values.text("OAUTH_SCOPES").unwrap_or_default()),
        audience: values.text("OAUTH_AUDIENCE"),
        groups_claim: values.text("OAUTH_GROUPS_CLAIM").unwrap_or_default(),
        client: values.text("OAUTH_CLIENT_ID").zip(values.hidden("OAUTH_CLIENT_SECRET")),
    })
}

/// Only commas part the groups, which may hold blanks; and commas within a directory's name, as in
/// `cn=a,ou=b=read`, belong to it.
fn entries(text: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for part in text.split(',') {
        match all.last_mut().filter(|it| is_begun(it)) {
            Some(last) => {
                last.push(',');
                last.push_str(part);
            }
            None => all.push(part.trim_start().to_owned()),
        }
    }
    all
}

/// Whether it ends in a part of a directory's name, such as `cn=x`, and not in a level.
fn is_begun(entry: &str) -> bool {
    let Some((before, word)) = entry.rsplit_once('=') else { return false };
    let key = before.rsplit(',').next().unwrap_or(before).trim();
    let level = Level::find(word.split('@').next().unwrap_or(word).trim());
    matches!(key.len(), 1 | 2) && level.is_none()
}

/// Lists, what each of their entries is, and whether one is that: others would never fit anybody.
type Entries = (&'static str, &'static str, fn(&str) -> bool);

const LISTS: [Entries; 3] = [
    ("MCP_ALLOWED_ORIGINS", "an origin such as https://app.example.com, or *", |it| {
        let (scheme, rest) = it.split_once("://").unwrap_or_default();
        it == "*"
            || !scheme.is_empty() && !rest.is_empty() && !rest.trim_end_matches('/').contains('/')
    }),
    ("MCP_ALLOWED_HOSTS", "a host name, perhaps with its port", |it| !it.contains(['/', '*'])),
    ("MCP_TRUSTED_PROXIES", "an address or a range such as 10.0.0.0/8", |it| {
        let (address, bits) = it.split_once('/').unwrap_or((it, "0"));
        let most = address.parse().map(|it: IpAddr| if it.is_ipv4() { 32 } else { 128 });
        most.is_ok_and(|most| bits.parse().is_ok_and(|it: u8| it <= most))
    }),
];

/// What is missing beside what is set, and what could never fit.
pub(in crate::config) fn check(settings: &Settings, values: &Values<'_>, problems: &mut Problems) {
    let pair = |one: &str, other: &str, problems: &mut Problems| {
        if let (Some(entry), None) = (settings.winner(one), settings.winner(other)) {
            problems.add(settings.problem(entry, format!("needs `{other}` beside it")));
        }
    };
    for (one, other) in
        [("MCP_TLS_CERT", "MCP_TLS_KEY"), ("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET")]
    {
        pair(one, other, problems);
        pair(other, one, problems);
    }
    for (name, what, fits) in LISTS {
        let all = value::list(&values.text(name).unwrap_or_default());
        let odd = all.iter().find(|it| !fits(it));
        if let Some((odd, entry)) = odd.zip(settings.winner(name)) {
            problems.add(settings.problem(entry, format!("`{}` is not {what}", quoted(odd))));
        }
    }
    let on = values.flag("OAUTH_ENABLED");
    for (name, what) in [
        ("OAUTH_ISSUER_URL", "whose tokens are accepted"),
        ("OAUTH_BASE_URL", "where clients reach this server, which is what tokens must be for"),
    ] {
        if on && settings.winner(name).is_none() {
            let said = format!("is missing: {what}; OAUTH_ENABLED wants it");
            problems.add(Problem::new(name, said));
        }
    }
    if let Some(entry) = settings.winner("OAUTH_ISSUER_URL").filter(|_| !on) {
        let said = "nobody signs in without `OAUTH_ENABLED=true`; set that, or take this out";
        problems.add(settings.problem(entry, said));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_a_directory_keep_their_commas() {
        let all = "a=read,cn=x y,ou=z=vm@esx1|esx2, b=full_admin";
        assert_eq!(entries(all), ["a=read", "cn=x y,ou=z=vm@esx1|esx2", "b=full_admin"]);
        assert_eq!(entries("lab=vm"), ["lab=vm"]);
        // What is no level is a mistake that whoever reads the entries tells.
        assert_eq!(entries("lab=root,b=read"), ["lab=root", "b=read"]);
    }
}
