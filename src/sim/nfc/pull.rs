//! A host that fetches an appliance by itself: HttpNfcLeasePullFromUrls_Task.
//!
//! The files come by plain HTTP, in a thread of its own, while the world goes on; of what comes only
//! the numbers are kept. It knows of an archive just enough to find its members. Surprising: a server
//! that does not answer with parts and lengths is refused, because real hosts want both.

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use crate::sim::clock::Moment;
use crate::sim::fault::Fault;
use crate::sim::fault::Result;
use crate::sim::files::File;
use crate::sim::nfc::Upload;
use crate::sim::nfc::methods::ready;
use crate::sim::rows::Call;
use crate::sim::sums;
use crate::sim::sums::Sums;
use crate::sim::task::Plan;
use crate::sim::vmdk;
use crate::sim::world::World;
use crate::threads::begin;
use crate::vim::value::Value;

/// Milliseconds that all of it may take, and between two looks.
const LASTS: Moment = 60 * 60 * 1000;
const LOOK: Moment = 50;
/// The longest silence of the other server.
const SILENCE: Duration = Duration::from_secs(30);
/// Bytes of the head of an answer, and members of an archive.
const MOST_HEAD: u64 = 32 << 10;
const MOST_MEMBERS: usize = 10_000;
const BLOCK: u64 = 512;

/// One file to fetch, and the slot that it fills.
struct Wanted {
    slot: String,
    disk: bool,
    url: String,
    member: Option<String>,
}

/// What came of it: each slot with its sums.
type Outcome = Arc<Mutex<Option<Result<Vec<(String, Sums)>>>>>;

/// Starts the task.
pub fn pull(world: &mut World, call: &Call) -> Result<Value> {
    let lease = ready(world, call)?;
    let wrong = || Fault::invalid_argument("files");
    if !lease.import {
        return Err(Fault::invalid_state());
    }
    let (token, mut all) = (lease.token.clone(), Vec::new());
    for file in call.args.objects("files") {
        let target = file.text("targetDeviceId").unwrap_or_default();
        let slot = lease.slots.iter().find(|it| it.import_key == target).ok_or_else(wrong)?;
        // unverified: whether a host looks at this.
        if file.flag("create") == Some(slot.disk) {
            return Err(wrong());
        }
        all.push(Wanted {
            slot: slot.name.clone(),
            disk: slot.disk,
            url: file.text("url").unwrap_or_default().to_owned(),
            member: file.text("memberName").map(str::to_owned),
        });
    }
    let outcome = Outcome::default();
    let (theirs, seen) = (outcome.clone(), outcome.clone());
    let work = move |world: &mut World| {
        let found = outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        let all = found.unwrap_or_else(|| Err(Fault::new("Timedout", "Operation timed out.")))?;
        for (slot, sums) in all {
            landed(world, &token, &slot, sums)?;
        }
        Ok(Value::Null)
    };
    let plan = Plan { lasts: LASTS, cancelable: true };
    // unverified: what such a task is on; a lease is nothing that a task's information can name.
    let entity = world.first("HostSystem").ok_or_else(|| Fault::gone(call.this))?;
    let task = world.begin_on(entity, call, plan, Box::new(work))?;
    let id = task.as_reference().map(|it| it.id.clone()).unwrap_or_default();
    world.later(LOOK, Box::new(move |world| watch(world, id, seen)));
    let fetch = move || {
        let fetched = all.iter().map(|it| Ok((it.slot.clone(), fetch(it)?))).collect();
        *theirs.lock().unwrap_or_else(PoisonError::into_inner) = Some(fetched);
    };
    begin("pull", Box::new(fetch))
        .map_err(|_| Fault::new("LimitExceeded", "There are too many transfers."))?;
    Ok(task)
}

/// Ends the task once everything is here.
fn watch(world: &mut World, task: String, outcome: Outcome) {
    if !world.tasks.runs(&task) {
        return;
    }
    if outcome.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
        let now = world.now;
        return world.tasks.hasten(&task, now);
    }
    world.later(LOOK, Box::new(move |world| watch(world, task, outcome)));
}

/// What came is in its place, as after an upload.
fn landed(world: &mut World, token: &str, name: &str, sums: Sums) -> Result<()> {
    let now = world.now;
    let gone = || Fault::new("Timedout", "Operation timed out.");
    let slot = world.nfc.slot_mut(token, name).ok_or_else(gone)?;
    *slot.slip.lock().unwrap_or_else(PoisonError::into_inner) = Some(sums.clone());
    let (path, disk) = (slot.path.clone(), slot.disk);
    if !disk {
        world.store(&path, File::blank(sums.bytes, now))?;
    }
    world.nfc.note(Upload { path, sums });
    Ok(())
}

/// unverified: which fault a host gives.
fn failed(text: impl Into<String>) -> Fault {
    Fault::new("OvfImportFailed", text)
}

/// Fetches a file, counts and forgets it.
fn fetch(wanted: &Wanted) -> Result<Sums> {
    let (from, size) = match &wanted.member {
        None => (0, part(&wanted.url, 0, 0)?.whole),
        Some(name) => member(&wanted.url, name)?,
    };
    let mut head = Vec::new();
    let mut each = |piece: &[u8], _: u64| {
        let room = 512_usize.saturating_sub(head.len()).min(piece.len());
        head.extend_from_slice(&piece[..room]);
        Ok(())
    };
    let sums = match size {
        0 => sums::drain(&mut std::io::empty(), &mut each),
        _ => sums::drain(&mut part(&wanted.url, from, from + size - 1)?.body, &mut each),
    };
    let sums = sums.map_err(|_| failed("The transfer broke off."))?;
    if sums.bytes != size {
        return Err(failed("The transfer ended early."));
    }
    if wanted.disk
        && let Err(why) = vmdk::looks(&head)
    {
        return Err(failed(why));
    }
    Ok(sums)
}

/// Where a member of an archive begins, and its bytes.
fn member(url: &str, name: &str) -> Result<(u64, u64)> {
    let mut at = 0;
    for _ in 0..MOST_MEMBERS {
        let mut block = Vec::new();
        let mut answer = part(url, at, at + BLOCK - 1)?;
        if at >= answer.whole || answer.body.read_to_end(&mut block).is_err() {
            break;
        }
        let Some(size) = block.get(124..136).and_then(number) else { break };
        let own = block.get(..100).unwrap_or_default();
        let own = own.split(|it| *it == 0).next().unwrap_or_default();
        let own = own.strip_prefix(b"./").unwrap_or(own);
        if own == name.as_bytes() {
            return Ok((at + BLOCK, size));
        }
        at += BLOCK + size.div_ceil(BLOCK) * BLOCK;
        if at >= answer.whole {
            break;
        }
    }
    Err(failed(format!("There is no '{name}' in the archive.")))
}

/// A size in a header: octal, or in binary where its first bit says so.
fn number(field: &[u8]) -> Option<u64> {
    if field.first().is_some_and(|it| it & 0x80 != 0) {
        let bytes = field.get(4..)?;
        return bytes
            .iter()
            .try_fold(0_u64, |sum, it| sum.checked_mul(256)?.checked_add((*it).into()));
    }
    let text = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    u64::from_str_radix(text, 8).ok()
}

/// Some bytes of a file elsewhere, and how many it has in all.
struct Part {
    whole: u64,
    body: std::io::Take<TcpStream>,
}

/// Asks for the bytes from one to another, both included.
fn part(url: &str, from: u64, to: u64) -> Result<Part> {
    let rest = url.strip_prefix("http://").ok_or_else(|| Fault::not_played("pulls over TLS"))?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    let path = if path.is_empty() { "/" } else { path };
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let unreached = |it: std::io::Error| failed(format!("{host} cannot be reached: {it}"));
    let mut line = TcpStream::connect(address).map_err(unreached)?;
    line.set_read_timeout(Some(SILENCE)).map_err(unreached)?;
    let asked = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nRange: bytes={from}-{to}\r\nConnection: close\r\n\r\n"
    );
    line.write_all(asked.as_bytes()).map_err(unreached)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        let got = line.read(&mut byte).map_err(unreached)?;
        if got == 0 || head.len() as u64 > MOST_HEAD {
            return Err(failed(format!("{host} does not answer in HTTP.")));
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let status = head.split(' ').nth(1).and_then(|it| it.parse::<u16>().ok()).unwrap_or(0);
    let value = |name: &str| {
        let mut lines = head.lines().filter_map(|it| it.split_once(':'));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value.trim().to_owned())
    };
    let length = value("content-length").and_then(|it| it.parse().ok());
    let range = value("content-range").unwrap_or_default();
    let whole = range.rsplit('/').next().and_then(|it| it.parse().ok());
    match (status, length, whole) {
        (206, Some(length), Some(whole)) => Ok(Part { whole, body: line.take(length) }),
        (200 | 206, ..) => Err(failed(format!("{host} does not give parts and lengths."))),
        (status, ..) => Err(Fault::new("HttpFault", format!("{host} answered {status}."))
            .with("statusCode", i64::from(status))
            .with("statusMessage", "")),
    }
}
