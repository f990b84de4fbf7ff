//! Who may come in over HTTP, by the configuration: the file of keys, the issuer, the groups.
//!
//! It opens the file now and asks the issuer when a token first needs it. Surprising: the issuer is
//! asked by its own short-lived client, since it is one document an hour, and follows no redirect, or
//! whoever answers for a name could vouch for anybody.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::auth::challenge::Resource;
use crate::auth::claims::Expected;
use crate::auth::introspection::Introspection;
use crate::auth::issuer;
use crate::auth::issuer::{Ask, Issuer, MAX_DOCUMENT};
use crate::auth::keys::Keys;
use crate::auth::policy::Policy;
use crate::auth::signin::SignIn;
use crate::config::Config;
use crate::config::daemon::Oauth;
use crate::error::{Error, Kind, Result};
use crate::files::url::Url;
use crate::web::client::{Client, Settings};
use crate::web::exchange::{Exchange as _, Request};
use crate::web::tls::Trust;

/// Bounds of one question to the issuer: to connect, of silence, and of all of it, which is less than
/// callers wait for it.
const CONNECT: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(7);
const WHOLE: Duration = Duration::from_secs(13);

/// Bytes of the file of keys; a line has some hundred.
const KEYS: u64 = 1 << 20;

/// Everyone who may come in; none where the configuration names nobody.
pub fn sign_in(config: &Config) -> Result<Option<SignIn>> {
    let daemon = &config.daemon;
    if daemon.keys.is_none() && daemon.oauth.is_none() {
        return match &daemon.groups {
            None => Ok(None),
            Some(_) => Err(Error::usage("`RBAC_GROUPS` gives rights, and nobody can come in")
                .hint("Set API_KEYS_FILE, or OAUTH_ENABLED=true with OAUTH_ISSUER_URL")),
        };
    }
    let policy = match &daemon.groups {
        Some(entries) => Policy::parse(entries.iter().map(String::as_str))
            .map_err(|error| error.during("`RBAC_GROUPS`"))?,
        None => Policy::built_in(),
    };
    let known = |host: &str| config.servers.iter().any(|it| it.name == host);
    if let Some(odd) = policy.hosts().find(|it| !known(it)) {
        let names: Vec<&str> = config.servers.iter().map(|it| it.name.as_str()).collect();
        let said = format!("`RBAC_GROUPS` speaks of a server `{odd}`, and none is called so");
        return Err(Error::usage(said).hint(format!("There are: {}", names.join(", "))));
    }
    let keys = match &daemon.keys {
        Some(path) => keys(path)?,
        None => Keys::default(),
    };
    if let (Some(path), None, []) = (&daemon.keys, &daemon.oauth, keys.entries()) {
        let said =
            format!("the file of keys `{}` has no key, so nobody can come in", path.display());
        return Err(Error::usage(said).hint("`jumpvisor key NAME GROUP` makes a line of it"));
    }
    for entry in keys.entries() {
        if !entry.groups.iter().any(|it| policy.knows(it)) {
            log::warn!("no group of the key `{}` has a right, so it opens nothing", entry.name);
        }
    }
    let issuer = daemon.oauth.as_ref().map(|it| trusted(it, config)).transpose()?;
    Ok(Some(SignIn { policy, keys: Mutex::new(Arc::new(keys)), issuer }))
}

/// The keys of a file that nobody else may write.
pub fn keys(path: &Path) -> Result<Keys> {
    let name = path.display();
    let cannot = |why: std::io::Error| {
        Error::usage(format!("cannot read the file of keys `{name}`: {why}"))
            .hint("`jumpvisor key NAME GROUP` makes a line of it")
    };
    let file = std::fs::File::open(path).map_err(cannot)?;
    let mode = file.metadata().map_err(cannot)?.mode();
    if mode & 0o022 != 0 {
        let said = format!("the file of keys `{name}` may be written by others (mode {mode:o})");
        return Err(Error::usage(said).hint(format!("chmod 640 {name}")));
    }
    let mut text = String::new();
    file.take(KEYS).read_to_string(&mut text).map_err(cannot)?;
    Keys::parse(&text).map_err(|error| error.during(format!("`{name}`")))
}

fn trusted(oauth: &Oauth, config: &Config) -> Result<(Issuer, Resource)> {
    let resource = Resource::new(&oauth.base, &oauth.issuer, &oauth.scopes)
        .map_err(|error| error.during("`OAUTH_BASE_URL`"))?;
    let mut audiences = vec![resource.uri().to_owned()];
    audiences.extend(oauth.audience.clone());
    let expected = Expected {
        issuer: oauth.issuer.clone(),
        audiences,
        groups_claim: oauth.groups_claim.clone(),
    };
    let introspection = oauth.client.as_ref().map(|(id, secret)| Introspection::new(id, secret));
    let proxy = config.proxy.as_ref().map(|it| it.reveal().to_owned());
    let no_proxy = config.no_proxy.join(",");
    let fetch = move |ask: &Ask<'_>| fetch(ask, proxy.clone(), no_proxy.clone());
    let issuer = Issuer::new(expected, Box::new(fetch), introspection)
        .map_err(|error| error.during("`OAUTH_ISSUER_URL`"))?;
    Ok((issuer, resource))
}

/// Asks the issuer's server once.
fn fetch(ask: &Ask<'_>, proxy: Option<String>, no_proxy: String) -> Result<issuer::Answer> {
    let until = Instant::now() + WHOLE;
    let url = Url::parse(ask.url)?;
    let client = Client::new(Settings {
        host: url.host.clone(),
        port: url.port,
        tls: url.tls,
        trust: Trust::System,
        connect_timeout: CONNECT,
        idle_timeout: SILENCE,
        proxy,
        no_proxy,
    })?;
    let form = ask.form.map(|it| it.reveal().as_bytes());
    let method = if form.is_some() { "POST" } else { "GET" };
    let mut request = Request::new(method, url.target(), form.unwrap_or_default())
        .header("Accept", "application/json");
    if form.is_some() {
        request = request.header("Content-Type", "application/x-www-form-urlencoded");
    }
    if let Some(it) = ask.authorization {
        request = request.header("Authorization", it.reveal());
    }
    let answer = client.exchange(&request)?;
    let (status, mut rest) = (answer.status, answer.body);
    let (mut body, mut piece) = (Vec::new(), [0; 8192]);
    loop {
        let count = rest.read(&mut piece).map_err(|why| broken(&url, &why.to_string()))?;
        if count == 0 {
            return Ok(issuer::Answer { status, body });
        }
        body.extend_from_slice(piece.get(..count).unwrap_or_default());
        if body.len() > MAX_DOCUMENT {
            return Err(broken(&url, &format!("its answer is longer than {MAX_DOCUMENT} bytes")));
        }
        if Instant::now() > until {
            return Err(broken(&url, "its answer comes too slowly"));
        }
    }
}

fn broken(url: &Url, why: &str) -> Error {
    Error::new(Kind::Network, format!("`{}` did not answer well: {why}", url.host))
}
