//! What a caller may do, server by server: asked by the gate, by lists, resources and completions.
//!
//! A server on which somebody has no right does not exist for him: no list, no error names it. Only
//! that there is a default server is no secret, since leaving `host` out means it.

use crate::auth::principal::Principal;
use crate::error::{Error, Kind, Result};
use crate::hv::fleet::{Fleet, Server};
use crate::tools::Level;

/// Tools that speak of the program itself.
const OF_NO_SERVER: [&str; 2] = ["get_metrics", "list_servers"];

/// Whether a tool is about no server.
pub fn of_no_server(tool: &str) -> bool {
    OF_NO_SERVER.contains(&tool)
}

/// The servers on which a caller has at least this level, the first ones first.
pub fn servers<'a>(
    fleet: &'a Fleet,
    who: &'a Principal,
    needs: Level,
) -> impl Iterator<Item = &'a Server> + 'a {
    fleet.servers().iter().filter(move |it| who.level_on(&it.name) >= Some(needs))
}

/// True when `wanted` means all servers, not one that is called so.
pub fn means_all(fleet: &Fleet, who: &Principal, wanted: Option<&str>) -> bool {
    wanted == Some("all") && !servers(fleet, who, Level::Read).any(|it| it.name == "all")
}

/// The server that a caller means, if he may do anything there.
pub fn server<'a>(fleet: &'a Fleet, who: &Principal, wanted: Option<&str>) -> Result<&'a Server> {
    let server = fleet.server_among(wanted, &|name| who.level_on(name).is_some())?;
    match who.level_on(&server.name) {
        Some(_) => Ok(server),
        None => Err(denied(fleet, who, Level::Read, Some(server))),
    }
}

/// The caller's level where a tool would be run, if it is enough: on the server that is meant, or the
/// least one where all are asked.
pub fn level(
    fleet: &Fleet,
    who: &Principal,
    tool: &str,
    needs: Level,
    wanted: Option<&str>,
) -> Result<Level> {
    let enough = |level: Option<Level>, at| {
        level.filter(|it| *it >= needs).ok_or_else(|| denied(fleet, who, needs, at))
    };
    // Without a server nothing can be reached, and the tool says so better than we could.
    if of_no_server(tool) || fleet.servers().is_empty() {
        return enough(who.highest(), None);
    }
    if means_all(fleet, who, wanted) {
        let all = servers(fleet, who, needs).filter_map(|it| who.level_on(&it.name));
        return enough(all.min(), None);
    }
    match fleet.server_among(wanted, &|name| who.level_on(name).is_some()) {
        Ok(server) => enough(who.level_on(&server.name), Some(server)),
        // Who may do it nowhere is told that, whatever else is wrong.
        Err(error) => enough(who.highest(), None).and(Err(error)),
    }
}

/// Says what is needed and what the caller has; `at` is the server that was meant.
pub fn denied(fleet: &Fleet, who: &Principal, needs: Level, at: Option<&Server>) -> Error {
    let has = match at {
        Some(server) => who.level_on(&server.name),
        None => who.highest(),
    };
    let place = match (at, has) {
        (Some(server), Some(_)) => format!(" on `{}`", server.name),
        (Some(_), None) => " on the default server".to_owned(),
        (None, _) => String::new(),
    };
    let has = has.map_or("no right there", Level::word);
    let groups = match who.groups.is_empty() {
        true => String::new(),
        false => format!(" by {}", who.groups.join(", ")),
    };
    let said = format!("it needs {}{place}, and you have {has}{groups}", needs.word());
    let other = |it: &&Server| at.is_some_and(|at| at.name != it.name);
    let able: Vec<&str> =
        servers(fleet, who, needs).filter(other).take(10).map(|it| it.name.as_str()).collect();
    Error::new(Kind::Denied, said).hint(match able.is_empty() {
        true => "Ask who runs this server for more rights".to_owned(),
        false => format!(
            "With `host` you may on: {}; for more rights ask who runs this server",
            able.join(", ")
        ),
    })
}
