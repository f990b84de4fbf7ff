//! Files into guests and out of them: a URL by SOAP, then one GET or PUT to whoever holds the guest.
//!
//! It must not know what a file is for. Surprising: behind a vCenter the URL leads to the ESXi
//! itself, whose certificate is not one that anybody here trusts; it must be the one that vCenter
//! vouches for. No cookie goes there, since the URL's token is all the permission that it takes.

use std::io;
use std::io::Read;

use crate::error::{Error, Kind, Result};
use crate::hv::call::Call;
use crate::hv::guest::{Inside, Outgoing, Take};
use crate::hv::meter::Meter;
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::{Elsewhere, Vsphere, door, guest_ops, props};
use crate::web::exchange::{Request, Response, Upload, from_io, into_io};

/// Read at once.
const CHUNK: usize = 64 << 10;

/// A file of a guest that waits to be fetched, once and within ten minutes.
pub struct Offered {
    pub size: u64,
    url: String,
}

/// Asks for a file of a guest.
pub fn offered(it: &Vsphere, call: &Call, at: &Inside, path: &str) -> Result<Offered> {
    let args = Object::args().with("guestFilePath", path);
    let found = guest_ops::file(it, call, at, "InitiateFileTransferFromGuest", args)?;
    let size = found.as_ref().and_then(|it| it.int("size"));
    let url = found.as_ref().and_then(|it| it.text("url"));
    match (size.and_then(|it| u64::try_from(it).ok()), url) {
        (Some(size), Some(url)) => Ok(Offered { size, url: url.to_owned() }),
        _ => Err(Error::new(Kind::Remote, "the server gave no URL for the file")),
    }
}

/// Fetches it, until its end or until enough was taken; its size.
pub fn fetch(
    it: &Vsphere,
    call: &Call,
    at: &Inside,
    path: &str,
    file: &Offered,
    take: Take<'_>,
) -> Result<u64> {
    let response = send(it, call, at.place.as_deref(), &file.url, Request::new("GET", "", b""))?;
    let meter = Meter::new(call, path, Some(file.size));
    let mut body = Watched { body: response.body, meter };
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = body.read(&mut chunk).map_err(from_io)?;
        if read == 0 || !take(&chunk[..read])? {
            return Ok(file.size);
        }
    }
}

/// A body on its way, with how far it has come.
struct Watched {
    body: Box<dyn Read + Send>,
    meter: Meter,
}

impl Read for Watched {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.body.read(into)?;
        self.meter.add(read).map_err(into_io)?;
        Ok(read)
    }

    crate::text::reading::shared!();
}

/// Writes a file of a guest.
pub fn store(it: &Vsphere, call: &Call, at: &Inside, path: &str, file: Outgoing) -> Result<()> {
    let size = i64::try_from(file.size).map_err(|_| Error::usage("the file is too large"))?;
    let attributes = match at.windows {
        true => Object::new("GuestWindowsFileAttributes"),
        false => Object::new("GuestPosixFileAttributes")
            .with_some("ownerId", file.owner.0)
            .with_some("groupId", file.owner.1)
            .with_some("permissions", file.permissions),
    };
    let args = Object::args()
        .with("guestFilePath", path)
        .with("fileAttributes", attributes)
        .with("fileSize", size)
        .with("overwrite", file.overwrite);
    let url = guest_ops::file(it, call, at, "InitiateFileTransferToGuest", args)?;
    let url = url.as_ref().and_then(Value::as_text).unwrap_or_default();
    let body = Watched { body: file.body, meter: Meter::new(call, path, Some(file.size)) };
    let request = Request::new("PUT", "", b"")
        .header("Content-Type", "application/octet-stream")
        .sending(Upload::new(body, Some(file.size)));
    send(it, call, at.place.as_deref(), url, request).map(drop)
}

/// Sends a request to where its URL leads; the answer's status is a good one.
fn send(
    it: &Vsphere,
    call: &Call,
    place: Option<&str>,
    url: &str,
    mut request: Request<'_>,
) -> Result<Response> {
    let mut vouch = |host: &str, port| vouched(it, call, place, host, port);
    let door = door::open(it, call, url, &mut vouch)?;
    request.path.clone_from(&door.path);
    let response = door.exchange(&request)?;
    match response.status {
        200..=299 => Ok(response),
        status => Err(Error::new(
            Kind::Network,
            format!("the file transfer was answered with HTTP {status}"),
        )
        .hint("Its URL dies when the VM is switched off, suspended or moved; try again")),
    }
}

/// The ESXi that runs the machine, by the name and with the certificate that vCenter knows.
fn vouched(
    it: &Vsphere,
    call: &Call,
    place: Option<&str>,
    named: &str,
    port: u16,
) -> Result<Elsewhere> {
    let place = place.ok_or_else(|| {
        Error::new(Kind::Unsupported, format!("vCenter does not tell where `{named}` is"))
            .hint("The account needs the right to read the host")
    })?;
    let host = Ref::new("HostSystem", place);
    let paths = ["name", "config.certificate"];
    let row = props::one(&it.session, call, &host, "HostSystem", &paths)?;
    let name = row.text("name").filter(|it| !it.is_empty()).unwrap_or(named);
    let trust = row.get("config.certificate").and_then(door::certificate).ok_or_else(|| {
        let said = format!("vCenter does not show the certificate of the ESXi host `{name}`");
        Error::new(Kind::Unsupported, format!("{said}, so no file is sent to it"))
            .hint("The account needs the right to read the host; or configure the ESXi itself")
    })?;
    Ok(Elsewhere { host: name.to_owned(), port, trust })
}
