//! Opening a session: agree on a version, read the service content, log in.
//!
//! Each step can be taken alone, so that `check` can tell which one fails. Surprising: the version
//! that a server names first may be an internal one; the highest of *ours* among all that it lists
//! counts. And a failed login sets a cookie too, so a cookie proves nothing.

use crate::error::{Error, Kind, Result};
use crate::text::secret::Secret;
use crate::text::xml;
use crate::vim::table::Method;
use crate::vim::value::{Object, Ref, Value};
use crate::vim::version::Version;
use crate::vsphere::live::Live;
use crate::vsphere::wire::{MAX_ANSWER, Wire};
use crate::vsphere::{decode, encode, faults};
use crate::web::exchange::{Response, read_capped};

/// Where a server lists the versions that it speaks, without a session.
const VERSIONS: &str = "/sdk/vimServiceVersions.xml";

/// Opens a session: three requests and one login.
pub fn open(wire: &Wire, user: &str, password: &Secret) -> Result<Live> {
    let version = version(wire)?;
    let content = content(wire, version)?;
    login(wire, version, content, user, password)
}

/// The highest version that both sides know.
pub fn version(wire: &Wire) -> Result<Version> {
    let Some(bytes) = wire.get(VERSIONS, 256 << 10)? else {
        return Ok(Version::oldest_served());
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let document = xml::parse(&text).map_err(|_| {
        Error::new(Kind::Network, "the server's list of versions is not XML")
            .hint("Is this address an ESXi host or a vCenter?")
    })?;
    let listed = listed_versions(&document);
    let agreed = Version::negotiate(listed.iter().map(String::as_str));
    agreed.filter(|it| *it >= Version::oldest_served()).ok_or_else(|| {
        let newest = listed.first().map_or("none", String::as_str);
        Error::new(
            Kind::Unsupported,
            format!(
                "the server speaks no version from 6.5 on (its first: {})",
                crate::error::quoted(newest)
            ),
        )
        .hint("ESXi and vCenter are served from 6.5 on")
    })
}

/// Every version in the namespace `urn:vim25`; there may be others beside it.
fn listed_versions(document: &roxmltree::Document<'_>) -> Vec<String> {
    let named = |node: &roxmltree::Node<'_, '_>, name: &str| node.tag_name().name() == name;
    let of_vim = |node: &roxmltree::Node<'_, '_>| {
        named(node, "namespace")
            && node.children().any(|child| {
                named(&child, "name") && child.text().is_some_and(|it| it.trim() == "urn:vim25")
            })
    };
    document
        .descendants()
        .filter(of_vim)
        .flat_map(|space| space.descendants().filter(|it| named(it, "version")))
        .filter_map(|node| node.text())
        .map(|text| text.trim().to_owned())
        .collect()
}

/// What the server is and which managers it has; needs no session.
pub fn content(wire: &Wire, version: Version) -> Result<Object> {
    let root = Ref::new("ServiceInstance", "ServiceInstance");
    let (answer, _) =
        plain_call(wire, version, None, &root, "RetrieveServiceContent", &Object::args())?;
    answer.and_then(Value::into_object).ok_or_else(|| {
        Error::new(Kind::Network, "the server's service content is empty")
            .hint("Is this address an ESXi host or a vCenter?")
    })
}

/// Logs in, once.
pub fn login(
    wire: &Wire,
    version: Version,
    content: Object,
    user: &str,
    password: &Secret,
) -> Result<Live> {
    let manager = content
        .reference("sessionManager")
        .cloned()
        .ok_or_else(|| Error::new(Kind::Remote, "the server has no session manager"))?;
    let args = Object::args().with("userName", user).with("password", password.reveal());
    let vcenter = content.text("about.apiType") == Some("VirtualCenter");
    let (_, cookie) = plain_call(wire, version, Some(vcenter), &manager, "Login", &args)
        .map_err(|error| explained(error, user))?;
    let cookie = cookie.ok_or_else(|| {
        Error::new(Kind::Remote, "the server accepted the login but gave no session cookie")
    })?;
    Ok(Live::new(Some(cookie), version, content))
}

/// `NoPermission` from a login means something else than elsewhere.
fn explained(error: Error, user: &str) -> Error {
    match error.fault_name() {
        Some("InvalidLogin") => {
            Error::new(Kind::Denied, format!("the server does not accept user `{user}` with this password"))
                .fault("InvalidLogin")
                .hint("Correct user or password in the configuration; it is not tried again before that, because hosts lock accounts")
        }
        Some("NoPermission") => {
            Error::new(Kind::Denied, format!("the password of `{user}` is right, but the user has no access to this server"))
                .fault("NoPermission")
                .hint("Give the user a role on the server")
        }
        _ => error,
    }
}

/// A call outside of any session; its result and the session cookie that came with it.
fn plain_call(
    wire: &Wire,
    version: Version,
    vcenter: Option<bool>,
    this: &Ref,
    method: &str,
    args: &Object,
) -> Result<(Option<Value>, Option<Secret>)> {
    let known = Method::find(&this.kind, method)
        .ok_or_else(|| Error::bug(format!("no {method} in the schema")))?;
    let envelope = Secret::new(encode::envelope(&encode::call(known, this, args, version)?));
    let mut response = wire
        .post(version, None, envelope.reveal(), None)
        .map_err(|error| error.during(method.to_owned()))?;
    let cookie = session_cookie(&response);
    let bytes = read_capped(&mut response.body, MAX_ANSWER)?;
    let answer = read_answer(known, bytes, vcenter.unwrap_or(true))?;
    Ok((answer, cookie))
}

/// The session cookie's pair, verbatim: its quotes belong to the value.
fn session_cookie(response: &Response) -> Option<Secret> {
    response
        .all("Set-Cookie")
        .filter_map(|line| line.split(';').next())
        .map(str::trim)
        .find(|pair| pair.starts_with("vmware_soap_session="))
        .map(Secret::new)
}

/// The result in a whole answer, or its fault as an error.
pub fn read_answer(method: Method, bytes: Vec<u8>, vcenter: bool) -> Result<Option<Value>> {
    let during = |error: Error| error.during(method.name());
    let text = String::from_utf8(bytes)
        .map_err(|_| during(Error::new(Kind::Remote, "the answer is not UTF-8")))?;
    let document = xml::parse(&text).map_err(during)?;
    match decode::fault(&document) {
        Some(fault) => Err(faults::error(method.name(), &fault, vcenter)),
        None => decode::response(method, &document).map_err(during),
    }
}
