//! The managed servers by the name that a caller uses for them.
//!
//! Nothing is connected here; a server that cannot be reached harms nobody but its own callers.

use crate::error::{Error, Kind, Result, quoted};
use crate::hv::Host;
use crate::hv::guest::Login;
use crate::threads::side_by_side;

/// A server and the `host` value that means it.
pub struct Server {
    pub name: String,
    pub host: Box<dyn Host>,
}

/// All managed servers; the first is the default.
pub struct Fleet {
    servers: Vec<Server>,
    logins: Vec<(String, Login)>,
}

impl Fleet {
    /// `servers` in the order of the configuration, names already distinct.
    pub fn new(servers: Vec<Server>) -> Fleet {
        Fleet { servers, logins: Vec::new() }
    }

    /// The same, with named credentials for guests.
    pub fn with_logins(self, logins: Vec<(String, Login)>) -> Fleet {
        Fleet { logins, ..self }
    }

    /// The guest credentials of this name, whatever its case.
    pub fn login(&self, name: &str) -> Result<&Login> {
        let found = self.logins.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, login)| login).ok_or_else(|| {
            let known: Vec<&str> = self.logins.iter().map(|(name, _)| name.as_str()).collect();
            let said = format!("no guest credentials are called `{}`", quoted(name));
            Error::new(Kind::NotFound, said).hint(match known.len() {
                0 => "None are configured: set GUEST_CRED_name_USER and GUEST_CRED_name_PASSWORD"
                    .to_owned(),
                _ => format!("Known: {}", known.join(", ")),
            })
        })
    }

    /// All of them, the default first.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The server that `name` means; the default one without a name.
    pub fn server(&self, name: Option<&str>) -> Result<&Server> {
        self.server_among(name, &|_| true)
    }

    /// The same for one who knows of some servers only: the others do not exist for him, but for the
    /// default one, which is what it is.
    pub fn server_among(
        &self,
        name: Option<&str>,
        knows: &dyn Fn(&str) -> bool,
    ) -> Result<&Server> {
        let Some(name) = name else {
            return self.servers.first().ok_or_else(|| {
                Error::usage("no server is configured")
                    .hint("`jumpvisor check` tells which settings are missing")
            });
        };
        let mut known = self.servers.iter().filter(|it| knows(&it.name));
        known.clone().find(|it| it.name == name).ok_or_else(|| {
            let known: Vec<String> = known.by_ref().map(|it| format!("`{}`", it.name)).collect();
            Error::new(Kind::NotFound, format!("no server is called `{}`", quoted(name)))
                .hint(format!("Known: {}", known.join(", ")))
        })
    }

    /// Ends every session, side by side, so that one dead server does not delay the others.
    pub fn close(&self) {
        side_by_side(self.servers.len(), &|at| {
            if let Some(server) = self.servers.get(at) {
                server.host.close();
            }
        });
    }
}
