//! Trying a configuration step by step: name, connection, version, login, licence, rights.
//!
//! It stops at the first step that the next ones need, and makes one login at most.

use std::net::ToSocketAddrs;

use crate::error::{Error, Result};
use crate::hv::call::Call;
use crate::hv::model::{Check, Outcome};
use crate::vim::value::{Object, Value};
use crate::vsphere::live::Live;
use crate::vsphere::{Vsphere, open, props};
use crate::web::failure::was_refused_certificate;
use crate::web::tls::fingerprint_text;

/// What an account needs for the tools that change machines.
const PRIVILEGES: &[&str] = &[
    "VirtualMachine.Interact.PowerOn",
    "VirtualMachine.Interact.PowerOff",
    "VirtualMachine.State.CreateSnapshot",
    "VirtualMachine.Inventory.Create",
    "VirtualMachine.Inventory.Delete",
    "VirtualMachine.Config.Settings",
    "Datastore.AllocateSpace",
    "Network.Assign",
];

/// Tries everything, as far as it goes.
pub fn run(it: &Vsphere, call: &Call) -> Vec<Check> {
    let mut done = Vec::new();
    if !it.address.proxied {
        let resolved = (it.address.host.as_str(), it.address.port).to_socket_addrs();
        match resolved.map(|mut all| all.next()) {
            Ok(Some(address)) => {
                done.push(good("name", format!("{} is {}", it.address.host, address.ip())))
            }
            _ => {
                let text = format!(
                    "`{}` has no address. Check the spelling and DNS, or use the IP address",
                    it.address.host
                );
                done.push(bad("name", text));
                return done;
            }
        }
    }
    let version = match open::version(&it.session.wire) {
        Ok(version) => version,
        Err(error) => {
            let step = if was_refused_certificate(&error) { "tls" } else { step_of(&error) };
            done.push(bad(step, error.to_string()));
            return done;
        }
    };
    if let Some(seen) = (it.seen)() {
        done.push(good(
            "tls",
            format!("certificate accepted; its SHA-256 fingerprint is {}", fingerprint_text(&seen)),
        ));
    }
    done.push(good("version", format!("the API is spoken as {}", version.name())));
    let live = match it.session.live(call) {
        Ok(live) => live,
        Err(error) => {
            done.push(bad("login", error.to_string()));
            return done;
        }
    };
    done.push(good("login", format!("`{}` on {}", it.session.user(), live.product())));
    done.push(licence(it, call, &live));
    done.push(rights(it, call, &live));
    done
}

/// The part of the way that failed.
fn step_of(error: &Error) -> &'static str {
    match error.kind() {
        crate::error::Kind::Unsupported => "version",
        _ => "connect",
    }
}

fn good(step: &'static str, text: String) -> Check {
    Check { step, outcome: Outcome::Good, text }
}

fn bad(step: &'static str, text: String) -> Check {
    Check { step, outcome: Outcome::Bad, text }
}

fn warning(step: &'static str, text: String) -> Check {
    Check { step, outcome: Outcome::Warning, text }
}

fn licence(it: &Vsphere, call: &Call, live: &Live) -> Check {
    match free_licence(it, call, live) {
        Some(why) => warning("licence", why),
        None => good("licence", "no licence that forbids changes was found".to_owned()),
    }
}

/// Whether this is the licence that makes the API read-only. Unverified: newer free editions.
pub fn is_free(licence: &Value) -> bool {
    licence.text("editionKey") == Some("esxBasic")
        || licence.text("name").is_some_and(|it| it.contains("Hypervisor"))
}

/// What to say when the host's licence makes its API read-only.
pub fn free_licence(it: &Vsphere, call: &Call, live: &Live) -> Option<String> {
    if live.is_vcenter() {
        return None;
    }
    let manager = live.manager("licenseManager").ok()?;
    let row = props::one(&it.session, call, &manager, "LicenseManager", &["licenses"]).ok()?;
    let free = row.items("licenses").iter().find(|it| is_free(it))?;
    let name = free.text("name").unwrap_or("free licence");
    Some(format!(
        "`{name}` makes the API read-only: every change will be refused. Use a paid or evaluation licence for changes"
    ))
}

fn rights(it: &Vsphere, call: &Call, live: &Live) -> Check {
    match missing_privileges(it, call, live) {
        Ok(missing) if missing.is_empty() => {
            good("rights", "the account may manage VMs".to_owned())
        }
        Ok(missing) => warning(
            "rights",
            format!(
                "the account lacks {}. Give its role these privileges, or set READ_ONLY=true",
                missing.join(", ")
            ),
        ),
        Err(error) => warning("rights", format!("the account's rights could not be read: {error}")),
    }
}

fn missing_privileges(it: &Vsphere, call: &Call, live: &Live) -> Result<Vec<String>> {
    let sessions = live.manager("sessionManager")?;
    let row = props::one(&it.session, call, &sessions, "SessionManager", &["currentSession"])?;
    let key = row
        .object("currentSession")
        .and_then(|session| session.text("key"))
        .unwrap_or_default()
        .to_owned();
    let wanted: Vec<Value> = PRIVILEGES.iter().map(|name| Value::from(*name)).collect();
    let args = Object::args()
        .with("entity", vec![Value::from(live.manager("rootFolder")?)])
        .with("sessionId", key)
        .with("privId", wanted);
    let manager = live.manager("authorizationManager")?;
    let answer = it.session.call(call, &manager, "HasPrivilegeOnEntities", &args)?;
    let entities = answer.unwrap_or(Value::Null);
    let lacking = entities
        .items()
        .iter()
        .flat_map(|entity| entity.objects("privAvailability").collect::<Vec<_>>())
        .filter(|it| it.flag("isGranted") == Some(false))
        .filter_map(|it| it.text("privId"))
        .map(str::to_owned);
    Ok(lacking.collect())
}
