//! Files of leases over HTTP: `/ha-nfc/<lease>/disk-0.vmdk` on a host, `/nfc/...` by a vCenter.
//!
//! An upload is counted and hashed and thrown away; an exported disk is made while it is read. The
//! world's lock is held for neither. Surprising: no session is needed, the lease's part of the URL
//! is the secret.

use std::io::Read;

use crate::sim::files::File;
use crate::sim::http::Answer;
use crate::sim::http::Request;
use crate::sim::nfc::Upload;
use crate::sim::service::Simulator;
use crate::sim::sums;
use crate::sim::sums::Told;
use crate::sim::vmdk;

/// Where a host and a vCenter have the files of leases.
pub const HOST: &str = "/ha-nfc/";
/// See [`HOST`].
pub const VCENTER: &str = "/nfc/";
/// Bytes of a disk that tell whether it is one.
const HEADER: usize = 512;
/// After so many bytes one looks whether the lease is still there.
const LOOK: u64 = 8 << 20;

/// Answers a request for a file of a lease.
pub fn answer(simulator: &Simulator, request: &mut Request) -> Answer {
    let (path, method) = (request.path().to_owned(), request.method);
    let mut parts = path.rsplit('/');
    let (name, token) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mut world = simulator.world();
    // unverified: 404 for a lease that is over.
    let Some((lease, at)) = world.nfc.slot(token, name) else { return Answer::empty(404) };
    let (import, Some(slot)) = (lease.import, lease.slots.get(at)) else {
        return Answer::empty(404);
    };
    match (method, import) {
        ("GET", false) => {
            let (slip, file) = (slot.slip.clone(), slot.path.clone());
            let stream: Box<dyn Read + Send> = match slot.disk {
                true => Box::new(vmdk::stream_optimized(slot.capacity.div_ceil(512), slot.seed)),
                false => match world.files.file(&file) {
                    Some(it) => Box::new(it.read(0, it.size)),
                    None => return Answer::empty(404),
                },
            };
            Answer::stream(200, Box::new(Told::new(stream, slip)), None)
                .header("Content-Type", "application/x-vnd.vmware-streamVmdk")
        }
        ("POST" | "PUT", true) => {
            // unverified: which of these a host tells apart, and how it says so.
            if slot.disk != (method == "POST") {
                return Answer::empty(405);
            }
            let again = slot.sums().is_some();
            let over = request.header("overwrite").is_some_and(|it| it.eq_ignore_ascii_case("t"));
            if slot.busy || (again && (slot.disk || !over)) {
                return Answer::empty(409);
            }
            if !slot.disk && !over {
                return Answer::empty(403);
            }
            let (disk, room) = (slot.disk, world.free(&slot.path));
            if let Some(slot) = world.nfc.slot_mut(token, name) {
                slot.busy = true;
            }
            drop(world);
            receive(simulator, request, (token, name), disk, room)
        }
        _ => Answer::empty(405),
    }
}

/// Takes an upload in.
fn receive(
    simulator: &Simulator,
    request: &mut Request,
    (token, name): (&str, &str),
    disk: bool,
    room: u64,
) -> Answer {
    let (mut header, mut looked) = (Vec::new(), 0);
    let mut drained = sums::drain(request.body, &mut |piece, bytes| {
        if disk && header.len() < HEADER {
            let part = (HEADER - header.len()).min(piece.len());
            header.extend_from_slice(piece.get(..part).unwrap_or_default());
            if header.len() == HEADER && vmdk::looks(&header).is_err() {
                return Err(500);
            }
        }
        if bytes - looked >= LOOK {
            looked = bytes;
            if simulator.world().nfc.slot(token, name).is_none() {
                return Err(404);
            }
        }
        // unverified: what a host answers when the datastore is full.
        if bytes > room { Err(500) } else { Ok(()) }
    });
    if disk && header.len() < HEADER && drained.is_ok() {
        drained = Err(500);
    }
    let mut world = simulator.world();
    let now = world.now;
    let Some(slot) = world.nfc.slot_mut(token, name) else { return Answer::empty(404) };
    slot.busy = false;
    let sums = match drained {
        Ok(sums) => sums,
        Err(status) => return Answer::empty(status),
    };
    if let Ok(mut slip) = slot.slip.lock() {
        *slip = Some(sums.clone());
    }
    let path = slot.path.clone();
    if !disk && world.store(&path, File::blank(sums.bytes, now)).is_err() {
        return Answer::empty(500);
    }
    world.nfc.note(Upload { path, sums });
    world.touch();
    drop(world);
    simulator.wake();
    Answer::empty(if disk { 200 } else { 201 })
}
