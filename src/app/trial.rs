//! What `jumpvisor check` says of the daemon's settings: all that `serve` would refuse or complain of,
//! tried without listening anywhere.
//!
//! Surprising: the issuer is asked here and not when the daemon starts, which must come up while the
//! issuer is down.

use crate::app::{http, signin};
use crate::config::Config;
use crate::config::Problem;
use crate::error::Result;
use crate::hv::model::{Check, Outcome};
use crate::web::serve::identity::Identity;
use crate::web::serve::listen;
use crate::web::serve::listen::Place;

/// Settings that make a daemon of it; where none of them is set, there is nothing to be said.
const NAMES: [&str; 7] = [
    "MCP_HOST",
    "MCP_PORT",
    "MCP_TLS_CERT",
    "OAUTH_ENABLED",
    "RBAC_GROUPS",
    "API_KEYS_FILE",
    "SERIAL_TLS_CERT",
];

/// Each setting that was tried.
pub fn tried(config: &Config) -> Vec<Check> {
    let amiss =
        |it: &Problem| Check { step: "settings", outcome: Outcome::Bad, text: it.to_string() };
    let mut all: Vec<Check> = config.amiss.iter().map(amiss).collect();
    let set = config.found.iter().filter(|it| it.from != "default");
    if !set.into_iter().any(|it| NAMES.contains(&it.name.as_str())) {
        return all;
    }
    let mut say = |step, found: Result<(bool, String)>| {
        let (outcome, text) = match found {
            Ok((true, text)) => (Outcome::Good, text),
            Ok((false, text)) => (Outcome::Warning, text),
            Err(error) => (Outcome::Bad, error.to_string()),
        };
        all.push(Check { step, outcome, text });
    };
    let certificates = [&config.daemon.tls, &config.concentrator.certificate];
    for (chain, key) in certificates.into_iter().flatten() {
        let found = Identity::open(chain, key).map(|it| it.dates());
        let unread = || (true, "the certificate and its key fit".to_owned());
        say("tls", found.map(|it| it.unwrap_or_else(unread)));
    }
    let sign_in = signin::sign_in(config);
    let unsigned = matches!(sign_in, Ok(None));
    match sign_in {
        Err(error) => say("sign-in", Err(error)),
        Ok(None) => {}
        Ok(Some(it)) => {
            if config.daemon.keys.is_some() {
                say(
                    "keys",
                    Ok((true, format!("{} in the file of keys", it.keys().entries().len()))),
                );
            }
            if let Some((issuer, resource)) = &it.issuer {
                let known = |count| {
                    let (address, uri) = (issuer.address(), resource.uri());
                    (true, format!("{address} has {count} keys for tokens of {uri}"))
                };
                say("issuer", issuer.probe().map(known).map_err(|it| it.during(issuer.address())));
            }
        }
    }
    if !config.daemon.host.eq_ignore_ascii_case(http::NONE) {
        let found = listen::places(&config.daemon.host, config.daemon.port);
        say(
            "listen",
            found.map_err(|it| it.during("MCP_HOST")).map(|all| {
                let shown: Vec<String> = all.iter().map(Place::to_string).collect();
                match all.iter().find(|it| unsigned && !it.is_local()) {
                    Some(open) => (false, http::open_to_all(open).to_string()),
                    None => (true, shown.join(" and ")),
                }
            }),
        );
    }
    all
}
