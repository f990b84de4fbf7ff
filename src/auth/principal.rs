//! Who asks, once that is settled: name, groups, and the level on each server.
//!
//! It knows neither tokens nor tools. Surprising: there are two names. What is shown and logged may
//! be one that people choose themselves; what is bound to a caller is bound to [`Principal::id`].

use crate::auth::level::Level;

/// How a caller was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// By a token of the issuer.
    Oauth,
    /// By a key in `X-API-Key`.
    ApiKey,
    /// By a key sent as a bearer token.
    StaticToken,
    /// By the operating system: over stdio and on the command line.
    Local,
}

impl How {
    /// The word in logs, and before the name in [`Principal::id`].
    pub fn word(self) -> &'static str {
        match self {
            How::Oauth => "oauth",
            How::ApiKey => "api_key",
            How::StaticToken => "static_token",
            How::Local => "local",
        }
    }
}

/// A level, and where it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub level: Level,
    /// Names of servers; none means all of them.
    pub hosts: Option<Vec<String>>,
}

impl Grant {
    fn covers(&self, host: &str) -> bool {
        self.hosts.as_ref().is_none_or(|all| all.iter().any(|it| it == host))
    }
}

/// A caller with at least one right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// For people: answers, logs, the audit log.
    pub name: String,
    /// For machines: the same for the same caller, and for nobody else. Approvals, limits, sessions
    /// and tasks are bound to it.
    pub id: String,
    /// Those that the configuration knows.
    pub groups: Vec<String>,
    pub how: How,
    /// Seconds since 1970 after which the caller has to be asked again; none for a key.
    pub expires: Option<u64>,
    grants: Vec<Grant>,
}

impl Principal {
    /// Made by [`crate::auth::policy::Policy::admit`].
    pub(in crate::auth) fn new(name: &str, id: &str, how: How, grants: Vec<Grant>) -> Principal {
        // A key is one caller whichever header it comes in.
        let sort = match how {
            How::StaticToken => How::ApiKey.word(),
            other => other.word(),
        };
        let id = format!("{sort}:{id}");
        Principal { name: name.to_owned(), id, groups: Vec::new(), how, expires: None, grants }
    }

    /// Whoever may start the program itself, and so may do anything.
    pub fn local(user: &str) -> Principal {
        Principal::limited(user, Level::Admin)
    }

    /// Somebody known by name alone, with one level everywhere.
    pub fn limited(user: &str, level: Level) -> Principal {
        Principal::new(user, user, How::Local, vec![Grant { level, hosts: None }])
    }

    /// The most that the caller may do on a server.
    pub fn level_on(&self, host: &str) -> Option<Level> {
        self.grants.iter().filter(|it| it.covers(host)).map(|it| it.level).max()
    }

    /// The most that the caller may do somewhere: for the list of tools, and for those that need no
    /// server.
    pub fn highest(&self) -> Option<Level> {
        self.grants.iter().map(|it| it.level).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_level_that_holds_on_a_server() {
        let grants = vec![
            Grant { level: Level::Read, hosts: None },
            Grant { level: Level::Admin, hosts: Some(vec!["lab".to_owned()]) },
            Grant { level: Level::Vm, hosts: Some(vec!["lab".to_owned(), "a".to_owned()]) },
        ];
        let who = Principal::new("ryan", "u1", How::Oauth, grants);
        let levels = ["lab", "a", "b", "LAB", ""].map(|it| who.level_on(it));
        let [read, vm, admin] = [Level::Read, Level::Vm, Level::Admin].map(Some);
        assert_eq!(levels, [admin, vm, read, read, read]);
        assert_eq!((who.highest(), who.id.as_str()), (admin, "oauth:u1"));
        let nobody = Principal::new("ryan", "ryan", How::ApiKey, Vec::new());
        assert_eq!((nobody.level_on("a"), nobody.highest()), (None, None));
        assert_eq!(nobody.id, Principal::new("x", "ryan", How::StaticToken, Vec::new()).id);
        assert_eq!(Principal::local("root").level_on("a"), admin);
    }
}
