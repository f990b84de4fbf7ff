//! Who asks beside `/sdk`: the session's cookie or a name and password, as a host takes both.

use crate::sim::http::{Answer, Request};
use crate::sim::service::{cookie, refuse};
use crate::sim::sessions;
use crate::sim::world::World;
use crate::text::base64;

/// Who asks, and whether he may only look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub user: String,
    /// May only look.
    pub viewer: bool,
}

/// Who sent this request; nobody if neither cookie nor password is good.
pub fn auth(world: &mut World, request: &Request) -> Option<Caller> {
    let (now, agent) = (world.now, request.header("user-agent").unwrap_or_default());
    let held = cookie(request).unwrap_or_default();
    if let Some(session) = world.sessions.used(&held, now, agent) {
        return Some(Caller { user: session.user.clone(), viewer: session.viewer });
    }
    basic(world, request)
}

/// Who gives a good name and password in `Authorization: Basic`.
pub fn basic(world: &World, request: &Request) -> Option<Caller> {
    let (scheme, code) = request.header("authorization")?.split_once(' ')?;
    let text = String::from_utf8(base64::decode(code.trim())?).ok()?;
    let (name, password) = text.split_once(':').filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let good = sessions::known(world, name, password);
    good.then(|| Caller { user: name.to_owned(), viewer: sessions::only_looks(world, name) })
}

/// What is said to nobody.
pub fn unauthorized() -> Answer {
    refuse(401).header("WWW-Authenticate", "Basic realm=\"VMware HTTP server\"")
}
