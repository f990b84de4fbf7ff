//! What an argument could be: names of VMs, servers, datastores and networks.
//!
//! By the argument's name, so that tools, prompts and resource templates share it. Bounded to
//! [`MOST`] values; a server that cannot be asked gives none rather than an error.

use crate::auth::principal::Principal;
use crate::hv::call::Call;
use crate::hv::fleet::Fleet;
use crate::hv::machines::Depth;
use crate::hv::places::PlaceKind;
use crate::text::order;
use crate::tools::Level;
use crate::tools::rights;

/// What one answer may hold, by the protocol.
pub const MOST: usize = 100;

/// Values for the argument `name` that begin with, or else contain, `begun`; and how many there
/// are in all; of servers where the caller has a right. `server` is the `host` that was already chosen.
pub fn complete(
    fleet: &Fleet,
    who: &Principal,
    call: &Call,
    name: &str,
    begun: &str,
    server: Option<&str>,
) -> (Vec<String>, usize) {
    let all = match name {
        "host" => rights::servers(fleet, who, Level::Read).map(|it| it.name.clone()).collect(),
        "vm" | "vm_name" | "name" | "template_name" => machines(fleet, who, call, server),
        "datastore" | "ds" => places(fleet, who, call, server, PlaceKind::Datastore),
        "network" => places(fleet, who, call, server, PlaceKind::Network),
        _ => Vec::new(),
    };
    let begun = begun.to_lowercase();
    let fits: Vec<String> =
        all.into_iter().filter(|it| it.to_lowercase().contains(&begun)).collect();
    // Those that begin so come before those that contain it.
    let mut fits = order::by_key(fits, |it| {
        let rank = if it.to_lowercase().starts_with(&begun) { '0' } else { '1' };
        format!("{rank}{it}")
    });
    fits.dedup();
    let total = fits.len();
    fits.truncate(MOST);
    (fits, total)
}

fn machines(fleet: &Fleet, who: &Principal, call: &Call, server: Option<&str>) -> Vec<String> {
    let Ok(server) = rights::server(fleet, who, server) else { return Vec::new() };
    match server.host.machines().list(call, Depth::Names) {
        Ok(all) => all.into_iter().map(|it| it.at.name).collect(),
        Err(error) => unasked(&error),
    }
}

fn places(
    fleet: &Fleet,
    who: &Principal,
    call: &Call,
    server: Option<&str>,
    kind: PlaceKind,
) -> Vec<String> {
    let Ok(server) = rights::server(fleet, who, server) else { return Vec::new() };
    match server.host.places().list(call, kind) {
        Ok(all) => all.into_iter().map(|it| it.name).collect(),
        Err(error) => unasked(&error),
    }
}

fn unasked(error: &crate::error::Error) -> Vec<String> {
    crate::logging::info!("no completions: {error}");
    Vec::new()
}
