//! The screen of a running machine as a PNG, by `/screen`, on ESXi and vCenter alike.
//!
//! It is plain HTTP with the session's cookie beside SOAP, so an expired session shows as a status
//! and not as a fault. Surprising: a host says in its capabilities whether it can make the picture
//! smaller; one that cannot sends the whole screen whatever is asked.

use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::hv::call::Call;
use crate::hv::console::Screen;
use crate::hv::model::MachineRef;
use crate::text::percent::encode;
use crate::vim::value::Object;
use crate::vsphere::keyboard::{STATE, runs};
use crate::vsphere::live::Live;
use crate::vsphere::machines::reference;
use crate::vsphere::{Vsphere, props};
use crate::web::exchange::read_capped;

/// Small enough to be cheap, large enough to be read.
const WIDTH: i64 = 1024;

/// A picture is 20 KB as a rule; a large screen full of colours is a few MB.
const LARGEST: usize = 4 << 20;

/// A host draws a picture at once.
const SILENCE: Duration = Duration::from_secs(30);

/// What every PNG begins with.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Reads the picture.
pub fn read(
    it: &Vsphere,
    call: &Call,
    wanted: &str,
    width: Option<i64>,
    height: Option<i64>,
) -> Result<Screen> {
    let at = it.locate(call, wanted)?;
    let row = props::one(&it.session, call, &reference(&at), "VirtualMachine", STATE)?;
    runs(&row, &at, "there is no screen")?;
    let mut scales = true;
    if let Some(host) = row.reference("runtime.host") {
        let host = props::one(&it.session, call, host, "HostSystem", &["capability"])?;
        let can = |path: &str| host.object("capability").and_then(|it| it.flag(path));
        if can("screenshotSupported") == Some(false) {
            return Err(Error::new(
                Kind::Unsupported,
                format!("the host of `{}` makes no pictures of screens", at.name),
            )
            .hint("get_console_url gives a link to the screen"));
        }
        scales = can("scaledScreenshotSupported") != Some(false);
    }
    let mut path = format!("/screen?id={}", encode(&at.id, ""));
    let asked = [("width", width), ("height", height)];
    let unasked = asked.iter().all(|(_, size)| size.is_none());
    let usual = [("width", Some(WIDTH)), ("height", None)];
    for (name, size) in if unasked { usual } else { asked } {
        if let Some(size) = size.filter(|_| scales) {
            path.push_str(&format!("&{name}={size}"));
        }
    }
    let bytes = it.session.with(call, |live| fetch(it, call, live, &at, &path))?;
    if !bytes.starts_with(PNG) {
        return Err(Error::new(
            Kind::Remote,
            format!("the server sent something else than a picture of `{}`", at.name),
        )
        .hint("A proxy on the way may answer in its place; get_console_url is another way"));
    }
    Ok(Screen { machine: at, bytes, unscaled: !scales && !unasked })
}

fn fetch(it: &Vsphere, call: &Call, live: &Live, at: &MachineRef, path: &str) -> Result<Vec<u8>> {
    call.check()?;
    let patience = call.time_left().map(|left| left.clamp(Duration::from_secs(1), SILENCE));
    let mut response = it.session.wire.fetch(path, live.cookie.as_ref(), patience)?;
    let name = &at.name;
    // Unverified: which status means what on a real host; 401 and redirects are those of its login.
    Err(match response.status {
        200 => return read_capped(&mut response.body, LARGEST),
        401 | 302 | 303 | 307 => Error::new(Kind::Denied, "the server wants a login for screens")
            .fault("NotAuthenticated")
            .hint("The account needs the privilege VirtualMachine.Interact.ConsoleInteract"),
        403 => Error::new(Kind::Denied, format!("the account may not see the screen of `{name}`"))
            .hint("It needs the privilege VirtualMachine.Interact.ConsoleInteract"),
        404 => Error::new(Kind::NotFound, format!("the server has no screen of `{name}`"))
            .hint("The VM may have been moved or stopped meanwhile; get_vm_info shows its state"),
        status => Error::new(
            Kind::Remote,
            format!("the server gave no picture of `{name}` (HTTP {status})"),
        )
        .hint("The VM may be starting or stopping, or the size too large; try again without width and height"),
    })
}

/// Where the ticket leads: its own URL, or one made of what it says and of our server's address.
pub fn url(ticket: &Object, host: &str, port: u16) -> Option<String> {
    // Unverified: whether a server ever leaves its own name out as `*`, as in lease URLs.
    if let Some(url) = ticket.text("url").filter(|it| it.starts_with("wss://")) {
        return Some(url.replacen("://*", &format!("://{}", bracketed(host)), 1));
    }
    let word = ticket.text("ticket").filter(|it| !it.is_empty())?;
    let own = ticket.text("host").filter(|it| !it.is_empty() && *it != "*");
    let port = match own {
        Some(_) => ticket.int("port").unwrap_or(443),
        None => ticket.int("port").unwrap_or(i64::from(port)),
    };
    Some(format!("wss://{}:{port}/ticket/{}", bracketed(own.unwrap_or(host)), encode(word, "")))
}

/// The link that opens the Remote Console program, which asks for the password itself.
pub fn vmrc(user: &str, host: &str, port: u16, id: &str) -> String {
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    format!("vmrc://{}@{}{port}/?moid={}", encode(user, ""), bracketed(host), encode(id, ""))
}

fn bracketed(host: &str) -> String {
    match host.contains(':') && !host.starts_with('[') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_leads_somewhere_whatever_it_leaves_out() {
        let ticket = |fields: &[(&'static str, &str)]| {
            let all = fields.iter();
            all.fold(
                Object::new("VirtualMachineTicket").with("ticket", "ab/1"),
                |it, (name, text)| it.with(name, *text),
            )
        };
        let link = |it: &Object| url(it, "fe80::1", 8443).unwrap();
        assert_eq!(
            link(&ticket(&[("url", "wss://*:443/ticket/x")])),
            "wss://[fe80::1]:443/ticket/x"
        );
        assert_eq!(link(&ticket(&[("host", "esx1")])), "wss://esx1:443/ticket/ab%2F1");
        assert_eq!(link(&ticket(&[])), "wss://[fe80::1]:8443/ticket/ab%2F1");
        assert_eq!(url(&Object::new("VirtualMachineTicket"), "a", 443), None);
    }

    #[test]
    fn a_user_of_a_domain_stays_one_user() {
        assert_eq!(
            vmrc("administrator@vsphere.local", "vc", 443, "vm-7"),
            "vmrc://administrator%40vsphere.local@vc/?moid=vm-7"
        );
        assert_eq!(vmrc("D\\me", "::1", 8443, "7"), "vmrc://D%5Cme@[::1]:8443/?moid=7");
    }
}
