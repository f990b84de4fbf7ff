//! Sessions: who is logged in, and what belongs to a login: views, collectors, filters.
//!
//! Sessions expire when idle, are limited in number, and are counted. Surprising: a failed login
//! gives a cookie too, as real servers do; a cookie proves nothing.

use crate::sim::clock::{Moment, stamp};
use crate::sim::collectors::Gatherer;
use crate::sim::fault::{Fault, Result};
use crate::sim::permissions;
use crate::sim::rows::{Call, Family, Method, Property};
use crate::sim::views::View;
use crate::sim::watch::{Collector, Filter};
use crate::sim::world::World;
use crate::text::sorted::Sorted;
use crate::vim::value::{Object, Ref, Value};

/// Views, filters and collectors that one session may have.
const MOST_SCOPED: usize = 1000;

/// Name and password, until somebody changes the account.
const USERS: &[(&str, &str)] =
    &[("root", "secret"), ("administrator@vsphere.local", "secret"), ("viewer", "secret")];
/// Whoever has this is no viewer.
const EVERYTHING: &str = "Global.Settings";

/// What lives and dies with a session.
pub enum Scoped {
    /// A container or list view.
    View(View),
    /// A property collector.
    Collector(Collector),
    /// A filter of a collector.
    Filter(Filter),
    /// A collector of events or tasks.
    Gatherer(Gatherer),
}

impl Scoped {
    /// The managed type.
    pub fn kind(&self) -> &'static str {
        match self {
            Scoped::View(it) => it.kind,
            Scoped::Collector(_) => "PropertyCollector",
            Scoped::Filter(_) => "PropertyFilter",
            Scoped::Gatherer(it) => it.kind,
        }
    }
}

/// One login.
pub struct Session {
    /// Its public key; the cookie is another number.
    pub key: String,
    /// Who logged in.
    pub user: String,
    /// May only look, but for what a permission grants.
    pub viewer: bool,
    login: Moment,
    last: Moment,
    calls: u64,
    agent: String,
    /// By id.
    pub scoped: Sorted<String, Scoped>,
}

/// All sessions, and the rules for them.
pub struct Sessions {
    /// By cookie.
    pub all: Sorted<String, Session>,
    /// How many there may be.
    pub limit: usize,
    /// Idle milliseconds after which one ends.
    pub idle: Moment,
    /// How many logins succeeded.
    pub logins: u64,
    /// How many ended by `Logout`.
    pub logouts: u64,
    /// The cookie that the present call hands out.
    pub fresh: Option<String>,
    made: u64,
    scoped: u64,
}

impl Default for Sessions {
    fn default() -> Sessions {
        let all = Sorted::new();
        let (limit, idle) = (500, 30 * 60 * 1000);
        Sessions { all, limit, idle, logins: 0, logouts: 0, fresh: None, made: 0, scoped: 0 }
    }
}

impl Sessions {
    /// Ends what is idle, and notes that the session of this cookie is used.
    pub fn used(&mut self, cookie: &str, now: Moment, agent: &str) -> Option<&mut Session> {
        let idle = self.idle;
        self.all.retain(|_, it| it.last + idle > now);
        let session = self.all.get_mut(cookie)?;
        session.last = now;
        session.calls += 1;
        if session.agent != agent {
            session.agent = agent.to_owned();
        }
        Some(session)
    }

    /// A wait that runs keeps its session alive.
    pub fn stays(&mut self, cookie: &str, now: Moment) {
        if let Some(session) = self.all.get_mut(cookie) {
            session.last = now;
        }
    }

    /// Forty hexadecimal digits that no session had; no secret, and repeatable on purpose.
    fn cookie(&mut self) -> String {
        self.made += 1;
        let mut state = self.made.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut word = || {
            state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            state ^= state >> 27;
            state
        };
        format!("{:016x}{:016x}{:08x}", word(), word(), word() >> 32)
    }
}

impl Session {
    fn new(world: &World, user: &str, viewer: bool) -> Session {
        let number = world.sessions.made;
        let mut scoped = Sorted::new();
        let own = Scoped::Collector(Collector::default());
        scoped.insert(own_collector(world).to_owned(), own);
        Session {
            key: format!("52{number:06x}-0000-4000-8000-{number:012x}"),
            user: user.to_owned(),
            viewer,
            login: world.now,
            last: world.now,
            calls: 1,
            agent: String::new(),
            scoped,
        }
    }

    fn shown(&self) -> Object {
        Object::new("UserSession")
            .with("key", self.key.as_str())
            .with("userName", self.user.as_str())
            .with("fullName", if self.viewer { "Viewer" } else { "Administrator" })
            .with("loginTime", stamp(self.login))
            .with("lastActiveTime", stamp(self.last))
            .with("locale", "en")
            .with("messageLocale", "en")
            .with("extensionSession", false)
            .with("ipAddress", "127.0.0.1")
            .with("userAgent", self.agent.as_str())
            .with("callCount", self.calls)
    }
}

impl World {
    /// A session of this user under a cookie of the caller's choice.
    pub fn stand_in(&mut self, cookie: &str, user: &str) {
        if self.sessions.all.get(cookie).is_none_or(|it| it.user != user) {
            let session = Session::new(self, user, only_looks(self, user));
            self.sessions.all.insert(cookie.to_owned(), session);
        }
    }

    /// The session of a call.
    pub fn session(&mut self, call: &Call) -> Result<&mut Session> {
        let gone = || Fault::not_authenticated(call.this, "System.View");
        self.sessions.all.get_mut(call.session).ok_or_else(gone)
    }

    /// Gives a session a new object; answers its reference.
    pub fn keep(&mut self, call: &Call, scoped: Scoped) -> Result<Value> {
        // Not of the world's numbers: what somebody looks at must not change the ids of what is made.
        self.sessions.scoped += 1;
        let number = self.sessions.scoped;
        let session = self.session(call)?;
        if session.scoped.len() >= MOST_SCOPED {
            let text = "The session has too many views, filters and collectors.";
            return Err(Fault::new("LimitExceeded", text));
        }
        let kind = scoped.kind();
        let id = format!("session[{}]{number}", session.key);
        session.scoped.insert(id.clone(), scoped);
        Ok(Ref::new(kind, id).into())
    }
}

/// The id of the collector that every session has.
pub fn own_collector(world: &World) -> &'static str {
    if world.vcenter { "propertyCollector" } else { "ha-property-collector" }
}

/// Whether there is an account of this name with this password.
pub fn known(_: &World, name: &str, password: &str) -> bool {
    USERS.iter().any(|it| it.0 == name && it.1 == password)
}

/// Whether an account may only look.
pub fn only_looks(world: &World, name: &str) -> bool {
    !permissions::granted(world, name, &Ref::new("Folder", ""), EVERYTHING)
}

fn login(world: &mut World, call: &Call) -> Result<Value> {
    let name = call.args.text("userName").unwrap_or_default();
    let password = call.args.text("password").unwrap_or_default();
    let cookie = world.sessions.cookie();
    world.sessions.fresh = Some(cookie.clone());
    let refused = "Cannot complete login due to an incorrect user name or password.";
    // unverified: which fault a real host gives to a login over a session that is alive.
    if !known(world, name, password) || !call.session.is_empty() {
        let text = format!("Cannot login {name}@127.0.0.1");
        world.event("BadUsernameSessionEvent", name, None, &text);
        return Err(Fault::new("InvalidLogin", refused));
    }
    let root = Ref::new("Folder", "");
    // unverified: which fault a host gives to an account without a permission.
    if !permissions::granted(world, name, &root, "System.View") {
        let text = "Permission to perform this operation was denied.";
        return Err(Fault::new("NoPermission", text)
            .with("object", call.this)
            .with("privilegeId", "System.View"));
    }
    let viewer = only_looks(world, name);
    if world.sessions.all.len() >= world.sessions.limit {
        return Err(Fault::overload());
    }
    let session = Session::new(world, name, viewer);
    let shown = session.shown();
    world.sessions.logins += 1;
    world.sessions.all.insert(cookie, session);
    let text = format!("User {name}@127.0.0.1 logged in");
    world.event("UserLoginSessionEvent", name, None, &text);
    Ok(shown.into())
}

fn logout(world: &mut World, call: &Call) -> Result<Value> {
    world.sessions.all.remove(call.session);
    world.sessions.logouts += 1;
    let text = format!("User {}@127.0.0.1 logged out", call.user);
    world.event("UserLogoutSessionEvent", call.user, None, &text);
    world.touch();
    Ok(Value::Null)
}

fn terminate(world: &mut World, call: &Call) -> Result<Value> {
    for key in call.args.texts("sessionId") {
        let own = world.session(call)?.key == key;
        let known = world.sessions.all.values().any(|it| it.key == key);
        if own || !known {
            return Err(if own {
                Fault::invalid_argument("sessionId")
            } else {
                Fault::not_found()
            });
        }
        world.sessions.all.retain(|_, it| it.key != key);
    }
    world.touch();
    Ok(Value::Null)
}

fn is_active(world: &mut World, call: &Call) -> Result<Value> {
    if !world.vcenter {
        return Err(Fault::not_supported());
    }
    let wanted = (call.args.text("sessionID"), call.args.text("userName"));
    Ok(world.sessions.all.values().any(|it| (Some(&*it.key), Some(&*it.user)) == wanted).into())
}

fn list(world: &World, _: &str) -> Option<Value> {
    Some(world.sessions.all.values().map(Session::shown).collect())
}

impl World {
    /// `SessionManager.currentSession` as this cookie sees it.
    pub fn current_session(&self, cookie: &str) -> Option<Value> {
        self.sessions.all.get(cookie).map(|it| it.shown().into())
    }
}

fn time(world: &mut World, _: &Call) -> Result<Value> {
    Ok(stamp(world.now).into())
}

fn content(world: &mut World, call: &Call) -> Result<Value> {
    let content = world.plain.get(&call.this.id).and_then(|it| it.props.get("content"));
    content.cloned().ok_or_else(|| Fault::gone(call.this))
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        Method { on: "SessionManager", name: "Login", run: login },
        Method { on: "SessionManager", name: "Logout", run: logout },
        Method { on: "SessionManager", name: "TerminateSession", run: terminate },
        Method { on: "SessionManager", name: "SessionIsActive", run: is_active },
        Method { on: "ServiceInstance", name: "CurrentTime", run: time },
        Method { on: "ServiceInstance", name: "RetrieveServiceContent", run: content },
    ],
    properties: &[
        Property { on: "SessionManager", name: "sessionList", get: list },
        Property {
            on: "ServiceInstance",
            name: "serverClock",
            get: |world, _| Some(stamp(world.now).into()),
        },
    ],
};
