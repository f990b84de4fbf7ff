//! The table of every configuration name: what it means, what it may hold, what holds without it.
//!
//! Parsing, `jumpvisor check` and the documentation derive from these rows; nothing here reads
//! anything. Surprising: a row may stand for many names, by a number at its end or a name in its middle.

/// What the value of an option looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any one line of text.
    Text,
    /// true/false, 1/0, yes/no, on/off.
    Bool,
    /// A duration: `10`, `10s` or `5m`, within these seconds.
    Seconds(u64, u64),
    /// A whole number within these bounds.
    Count(u64, u64),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Values with commas between them.
    List,
    /// Folders with colons between them.
    Folders,
    /// Host names, `*.name`, addresses and ranges, with commas between them.
    Hosts,
    /// One path.
    Path,
    /// A hypervisor: `name`, `name:port`, `[v6]:port` or a URL.
    Server,
    /// An http or https URL.
    Url,
    /// `http://[user:password@]name:port`; shown without user and password.
    Proxy,
    /// A SHA-256 certificate fingerprint: 64 hex digits, colons optional.
    Fingerprint,
    /// The name of a server in tools and resources.
    Name,
    /// One of these words, or a path that holds a `/`; several with commas between them.
    Sink(&'static [&'static str]),
    /// true, false, or an address `name:port`.
    Exposed,
    /// `name`, `name:port`, `[v6]:port` or a port.
    Place,
    /// The same without a port alone, perhaps behind `telnet://` or `telnets://`.
    Concentrator,
    /// Text that is never shown; also from a file or a credential.
    Secret,
}

/// One row of [`OPTIONS`].
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// The name in the environment and in env files. `*` stands for a name of the user's choice.
    pub name: &'static str,
    /// Other spellings that mean the same.
    pub aliases: &'static [&'static str],
    /// What the value looks like.
    pub kind: Kind,
    /// What holds if nothing is set, as it would be written; none if there is no such thing.
    pub default: Option<&'static str>,
    /// One line for people.
    pub help: &'static str,
    /// The command-line flag, with its dashes; a flag of kind [`Kind::Bool`] takes no value.
    pub flag: Option<&'static str>,
    /// True if `_1` to `_256` may follow, one for each further server.
    pub numbered: bool,
}

impl Opt {
    const fn alias(mut self, aliases: &'static [&'static str]) -> Opt {
        self.aliases = aliases;
        self
    }

    const fn default(mut self, default: &'static str) -> Opt {
        self.default = Some(default);
        self
    }

    const fn flag(mut self, flag: &'static str) -> Opt {
        self.flag = Some(flag);
        self
    }

    const fn numbered(mut self) -> Opt {
        self.numbered = true;
        self
    }
}

const fn opt(name: &'static str, kind: Kind, help: &'static str) -> Opt {
    let (aliases, default, flag, numbered) = (&[], None, None, false);
    Opt { name, aliases, kind, default, help, flag, numbered }
}

/// The highest number behind `ESXI_HOST_`.
pub const MOST_SERVERS: u16 = 256;

/// Every option, in the order in which documents and `jumpvisor check` list them.
#[rustfmt::skip]
pub const OPTIONS: &[Opt] = &[
    opt("ESXI_HOST", Kind::Server, "ESXi host: name, name:port, [v6]:port or a URL; the default server").numbered(),
    opt("ESXI_USER", Kind::Text, "User on the ESXi host").numbered(),
    opt("ESXI_PASS", Kind::Secret, "Password on the ESXi host").numbered(),
    opt("ESXI_INSECURE", Kind::Bool, "Do not check the certificate").default("false").numbered(),
    opt("ESXI_CA_FILE", Kind::Path, "Trust the CA certificates in this PEM file").numbered(),
    opt("ESXI_FINGERPRINT", Kind::Fingerprint, "Trust exactly the certificate with this SHA-256 fingerprint").numbered(),
    opt("ESXI_NETWORK", Kind::Text, "Network for tools that name none").numbered(),
    opt("ESXI_DATASTORE", Kind::Text, "Datastore for tools that name none").numbered(),
    opt("ESXI_NAME", Kind::Name, "What tools call this server; without it, the host as given").numbered(),
    opt("VCENTER_HOST", Kind::Server, "vCenter or one more ESXi host, last of the servers"),
    opt("VCENTER_USER", Kind::Text, "User on the vCenter"),
    opt("VCENTER_PASSWORD", Kind::Secret, "Password on the vCenter"),
    opt("VCENTER_INSECURE", Kind::Bool, "Do not check the certificate").alias(&["VCENTER_IGNORE_SSL"]).default("false"),
    opt("VCENTER_CA_FILE", Kind::Path, "Trust the CA certificates in this PEM file"),
    opt("VCENTER_FINGERPRINT", Kind::Fingerprint, "Trust exactly the certificate with this SHA-256 fingerprint"),
    opt("VCENTER_DATACENTER", Kind::Text, "Datacenter for tools that name none"),
    opt("VCENTER_CLUSTER", Kind::Text, "Cluster for tools that name none"),
    opt("VCENTER_DATASTORE", Kind::Text, "Datastore for tools that name none"),
    opt("VCENTER_NETWORK", Kind::Text, "Network for tools that name none"),
    opt("GUEST_CRED_*_USER", Kind::Text, "User of the named guest credentials"),
    opt("GUEST_CRED_*_PASSWORD", Kind::Secret, "Password of the named guest credentials"),

    opt("TOOLSETS", Kind::List, "Offered families of tools").flag("--toolsets"),
    opt("READ_ONLY", Kind::Bool, "Offer only tools that change nothing").default("false").flag("--read-only"),
    opt("NO_DESTRUCTIVE", Kind::Bool, "Offer no tools that can lose data or stop a service").default("false").flag("--no-destructive"),
    opt("APPROVAL", Kind::Choice(&["off", "destructive", "all"]), "Which calls a person approves first").default("off").flag("--approval"),
    opt("APPROVAL_KEY_FILE", Kind::Path, "Key of approval tokens, 32 bytes or more that nobody else may read; random without it"),
    opt("APPROVAL_FALLBACK", Kind::Choice(&["token", "deny"]), "For clients that cannot be asked").default("token"),
    opt("MAX_ANSWER_BYTES", Kind::Count(4_000, 10_000_000), "Cap of one answer, text and structured content together").default("60000"),
    opt("FILES_ROOT", Kind::Folders, "Folders of this machine that tools may read from and write to"),
    opt("URL_HOSTS", Kind::Hosts, "Hosts that tools may fetch from: names, *.name, addresses, ranges; or none"),

    opt("MCP_TRANSPORT", Kind::Choice(&["stdio", "streamable-http"]), "What runs without a command").default("stdio"),
    opt("MCP_HOST", Kind::Text, "Address that serve listens on").default("127.0.0.1"),
    opt("MCP_PORT", Kind::Count(1, 65_535), "Port that serve listens on").default("8080"),
    opt("MCP_TLS_CERT", Kind::Path, "Certificate chain (PEM) to serve TLS with"),
    opt("MCP_TLS_KEY", Kind::Path, "Private key (PEM) to serve TLS with"),
    opt("MCP_ALLOWED_ORIGINS", Kind::List, "Origins of browsers that may call"),
    opt("MCP_ALLOWED_HOSTS", Kind::List, "Host names that clients may address"),
    opt("MCP_TRUSTED_PROXIES", Kind::List, "Proxies whose X-Forwarded-For is believed"),

    opt("OAUTH_ENABLED", Kind::Bool, "Callers sign in").default("false"),
    opt("OAUTH_ISSUER_URL", Kind::Url, "Issuer of access tokens").alias(&["AUTHENTIK_OIDC_URL"]),
    opt("OAUTH_CLIENT_ID", Kind::Text, "Client id for introspection").alias(&["AUTHENTIK_CLIENT_ID"]),
    opt("OAUTH_CLIENT_SECRET", Kind::Secret, "Client secret for introspection").alias(&["AUTHENTIK_CLIENT_SECRET"]),
    opt("OAUTH_BASE_URL", Kind::Url, "Where clients reach this server").alias(&["MCP_BASE_URL"]),
    opt("OAUTH_SCOPES", Kind::List, "Scopes that clients ask for"),
    opt("OAUTH_AUDIENCE", Kind::Text, "Audience that tokens must name"),
    opt("OAUTH_GROUPS_CLAIM", Kind::Text, "Claim that lists the caller's groups").default("groups"),
    opt("RBAC_GROUPS", Kind::List, "group=level,... instead of the built-in groups"),
    opt("API_KEYS_FILE", Kind::Path, "Lines name:group,group:sha256-of-key"),
    opt("RATE_LIMIT_PER_USER", Kind::Count(0, 1_000_000), "Calls a minute; 0 is none").default("600"),
    opt("RATE_LIMIT_PER_ADDRESS", Kind::Count(0, 1_000_000), "Calls a minute; 0 is none").default("1200"),
    opt("METRICS", Kind::Exposed, "Serve /metrics; on its own address if one is given").default("true"),

    opt("SERIAL_LISTEN", Kind::Place, "Address, address:port or port where machines dial in to the concentrator of serve"),
    opt("SERIAL_ADVERTISE", Kind::Concentrator, "The concentrator as hosts dial it: name or name:port"),
    opt("SERIAL_TLS_CERT", Kind::Path, "Certificate chain (PEM) of the concentrator"),
    opt("SERIAL_TLS_KEY", Kind::Path, "Private key (PEM) of the concentrator"),
    opt("SERIAL_SOCKETS", Kind::Path, "Folder of Unix sockets, one for each console"),
    opt("SERIAL_LOG_DIR", Kind::Path, "Folder of console logs, 10 MB each and one older file of each"),
    opt("SERIAL_RING_KB", Kind::Count(4, 65_536), "Kept output of each console, in KiB").default("256"),

    opt("AUDIT_LOG", Kind::Sink(&["stderr", "journal"]), "stderr, journal or a file, or several with commas").default("stderr").flag("--audit-log"),
    opt("AUDIT_REQUIRED", Kind::Bool, "Refuse changes when the audit log cannot be written").default("false"),
    opt("LOG_LEVEL", Kind::Choice(&["DEBUG", "INFO", "WARNING", "ERROR"]), "How much is logged to stderr").default("INFO").flag("--log-level"),
    opt("LOG_FORMAT", Kind::Choice(&["text", "json"]), "How it is logged").default("text"),

    opt("MAX_CONCURRENT_CALLS", Kind::Count(1, 256), "Calls that run at once; more wait").default("16"),
    opt("CONNECT_TIMEOUT", Kind::Seconds(1, 300), "Longest wait for a connection").default("10"),
    opt("IDLE_TIMEOUT", Kind::Seconds(1, 3_600), "Longest silence of a peer").default("60"),
    opt("CALL_TIMEOUT", Kind::Seconds(1, 86_400), "Longest call that is not a task or a transfer").default("300").flag("--call-timeout"),
    opt("HTTPS_PROXY", Kind::Proxy, "Proxy for connections to servers").alias(&["https_proxy"]),
    opt("NO_PROXY", Kind::List, "Hosts that are reached without the proxy").alias(&["no_proxy"]),
];

/// The row of a name or alias; numbers and ways such as `_FILE` are not looked through.
pub fn row(name: &str) -> Option<&'static Opt> {
    OPTIONS.iter().find(|row| row.name == name || row.aliases.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value;

    #[test]
    fn names_are_unique_and_described() {
        let mut seen = std::collections::BTreeSet::new();
        for row in OPTIONS {
            for name in std::iter::once(&row.name).chain(row.aliases).chain(&row.flag) {
                assert!(seen.insert(*name), "{name} twice");
            }
            assert!(!row.help.is_empty() && row.help.len() <= 90, "{}", row.name);
        }
    }

    #[test]
    fn every_default_is_a_value() {
        for row in OPTIONS {
            let Some(default) = row.default else { continue };
            assert!(value::check(row.kind, default).is_ok(), "{}", row.name);
        }
    }

    #[test]
    fn no_secret_has_a_flag_and_no_server_either() {
        for row in OPTIONS.iter().filter(|row| row.flag.is_some()) {
            assert_ne!(row.kind, Kind::Secret, "{}", row.name);
            assert!(!row.numbered && !row.name.starts_with("VCENTER_"), "{}", row.name);
        }
    }
}
