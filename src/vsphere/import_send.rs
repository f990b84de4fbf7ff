//! The files of an appliance on their way into a lease, one after another, in one pass.
//!
//! Whoever has the files decides which comes next; here each finds its URL, and the bytes go by
//! without being kept. Surprising: why a transfer broke off is rarely in its answer. What the source
//! of the bytes said comes first, then what the lease says, and the bare status last.

use std::io;
use std::io::{ErrorKind, Read};

use crate::error::{Error, Kind, Result, quoted};
use crate::hv::appliances::{Piece, Supply};
use crate::hv::call::Call;
use crate::hv::meter::{Meter, amount};
use crate::text::words::counted;
use crate::vim::value::Object;
use crate::vsphere::import_spec::Item;
use crate::vsphere::lease::Lease;
use crate::vsphere::{Vsphere, lease_door, vmdk_head};
use crate::web::exchange::{Request, Upload, from_io, into_io};
use crate::web::failure::was_not_sent;

/// What goes where.
pub struct Send<'s> {
    pub it: &'s Vsphere,
    pub call: &'s Call,
    pub lease: &'s Lease,
    pub items: &'s [Item],
    /// Each waits for the one before it.
    pub in_order: bool,
}

impl Send<'_> {
    /// Sends all of them; what was sent, one sentence each.
    pub fn all(&self, supply: &mut dyn Supply) -> Result<Vec<String>> {
        let urls: Vec<&Object> = self.lease.files().collect();
        let targets: Vec<&Object> =
            (0..self.items.len()).map(|at| target(&urls, self.items, at)).collect::<Result<_>>()?;
        let mut sizes: Vec<Option<u64>> = self.items.iter().map(|it| it.size).collect();
        let mut meter = Meter::new(self.call, "the appliance", sum(&sizes));
        let mut open: Vec<usize> = (0..self.items.len()).collect();
        let mut sent = 0;
        while !open.is_empty() {
            let wait = if self.in_order { 1 } else { open.len() };
            let wanted: Vec<&str> =
                open[..wait].iter().map(|at| self.items[*at].path.as_str()).collect();
            let so_far = |error: Error, done: u64, total: Option<u64>| {
                let total = total.filter(|it| *it >= done);
                let of = total.map(|it| format!(" of {}", amount(it))).unwrap_or_default();
                error.during(format!(
                    "after {}{of}, with file {} of {}",
                    amount(done),
                    sent + 1,
                    self.items.len()
                ))
            };
            let next = supply.next(&wanted);
            let next = next.map_err(|error| so_far(error, meter.done(), sum(&sizes)))?;
            let Some(piece) = next else {
                return Err(so_far(missing(&wanted), meter.done(), sum(&sizes)));
            };
            if piece.at >= wait {
                return Err(Error::bug("a file came that nobody waits for"));
            }
            let at = open.remove(piece.at);
            let item = &self.items[at];
            // The descriptor's sizes may be wrong, and are not of what was unpacked.
            sizes[at] = piece.size.or(item.size.filter(|_| !item.packed));
            meter.expect(sum(&sizes));
            meter.name(format!("{} ({} of {})", quoted(&item.path), sent + 1, self.items.len()));
            self.one(supply, item, targets[at], &piece, &mut meter).map_err(|error| {
                let error = error.during(format!("`{}`", quoted(&item.path)));
                so_far(error, meter.done(), sum(&sizes))
            })?;
            sent += 1;
        }
        let bytes = amount(meter.done());
        Ok(match sent {
            0 => Vec::new(),
            _ => vec![format!("{} sent, {bytes}", counted(sent, "file"))],
        })
    }

    /// Sends one file to its URL.
    fn one(
        &self,
        supply: &mut dyn Supply,
        item: &Item,
        target: &Object,
        piece: &Piece,
        meter: &mut Meter,
    ) -> Result<()> {
        let head = head(supply)?;
        if item.disk
            && !item.create
            && let Some(wrong) = vmdk_head::wrong(&head)
        {
            return Err(Error::new(Kind::Conflict, format!("it is {wrong}")).hint(
                "A host takes stream-optimized disks only; make one with \
                 `qemu-img convert -O vmdk -o subformat=streamOptimized OLD.vmdk NEW.vmdk`",
            ));
        }
        let door = lease_door::open(self.it, self.call, self.lease, target)?;
        let mut fed = Fed {
            supply,
            head: &head,
            lease: self.lease,
            meter,
            size: piece.size,
            sent: 0,
            ended: false,
            failed: None,
        };
        let request = match item.create {
            // unverified: a host that wants the type of a disk for other files too.
            true => Request::new("PUT", door.path.clone(), b"")
                .header("Overwrite", "t")
                .header("Content-Type", "application/octet-stream"),
            false => Request::new("POST", door.path.clone(), b"")
                .header("Content-Type", "application/x-vnd.vmware-streamVmdk"),
        };
        // unverified: that hosts from 6.5 on take chunks, which come where a size is not known.
        let answer = door.exchange(&request.sending(Upload::new(&mut fed, piece.size)));
        let (failed, whole) = (fed.failed.take(), fed.ended || Some(fed.sent) == piece.size);
        let error = match (failed, answer) {
            (Some(error), _) => return Err(error),
            (None, Ok(answer)) => match answer.status {
                200..=299 if whole => return over(supply, piece.size),
                200..=299 => Error::new(Kind::Remote, "the host took only the beginning of it"),
                status => refused(status),
            },
            (None, Err(error)) if was_not_sent(&error) => error,
            (None, Err(error)) => error.hint_instead(
                "Nothing of it stays, and no host goes on where a transfer broke off; try again",
            ),
        };
        self.call.check()?;
        match self.lease.trouble(self.call).or_else(|| self.lease.moved(0).err()) {
            Some(reason) => Err(reason.during("the host ended the import")),
            None => Err(error),
        }
    }
}

fn sum(sizes: &[Option<u64>]) -> Option<u64> {
    sizes.iter().try_fold(0_u64, |sum, it| sum.checked_add((*it)?))
}

/// The URL of a file.
pub fn target<'u>(urls: &[&'u Object], items: &[Item], at: usize) -> Result<&'u Object> {
    let key = |it: &Object| it.text("importKey").unwrap_or_default().to_owned();
    let device = &items[at].device;
    // Where several hosts could take it, each has a URL of its own; one is enough.
    if let Some(found) = urls.iter().find(|it| key(it) == *device && !device.is_empty()) {
        return Ok(found);
    }
    // unverified: that a server may write the machine's name in another way here.
    let place = |it: &str| it.rsplit('/').next().unwrap_or_default().to_owned();
    let near: Vec<&&Object> =
        urls.iter().filter(|it| !device.is_empty() && place(&key(it)) == place(device)).collect();
    let alike = items.iter().filter(|it| place(&it.device) == place(device)).count();
    if let ([one], 1) = (&near[..], alike) {
        return Ok(one);
    }
    if urls.len() == items.len() && urls.iter().all(|it| key(it).is_empty()) {
        log::warn!("the host does not say which URL is whose; their order decides");
        return Ok(urls[at]);
    }
    let path = quoted(&items[at].path);
    Err(Error::new(Kind::Remote, format!("the host has no place for the file `{path}`")))
}

fn missing(wanted: &[&str]) -> Error {
    let names: Vec<String> = wanted.iter().take(20).map(|it| format!("`{}`", quoted(it))).collect();
    let verb = if wanted.len() == 1 { "is" } else { "are" };
    let said = format!("{} {verb} not among the files of the appliance", names.join(", "));
    Error::new(Kind::NotFound, said)
        .hint("The descriptor names it, so the appliance is not whole; fetch it again")
}

/// The first bytes of a file.
fn head(supply: &mut dyn Supply) -> Result<Vec<u8>> {
    let mut head = vec![0; vmdk_head::LOOKED_AT];
    let mut got = 0;
    while got < head.len() {
        match supply.read(&mut head[got..]) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(from_io(error)),
        }
    }
    head.truncate(got);
    Ok(head)
}

/// Refuses more bytes than there should have been; the host has not got them.
fn over(supply: &mut dyn Supply, size: Option<u64>) -> Result<()> {
    let Some(size) = size else { return Ok(()) };
    match supply.read(&mut [0]).map_err(from_io)? {
        0 => Ok(()),
        _ => Err(Error::new(Kind::Conflict, format!("it is longer than its {}", amount(size)))
            .hint("It was changed while it was read; try again")),
    }
}

/// What an answer without words means.
fn refused(status: u16) -> Error {
    let (kind, hint) = match status {
        401 | 403 => (
            Kind::Denied,
            "A file of an earlier try may be in its place; look into the VM's folder on the \
             datastore",
        ),
        404 => (Kind::Conflict, "The import was ended on the server's side, or took too long"),
        405 | 501 => (Kind::Unsupported, "The host does not take such a file this way"),
        409 => (
            Kind::Conflict,
            "There is such a file already; remove what an earlier try left on the datastore",
        ),
        413 | 507 => (Kind::Conflict, "Make room on the datastore, or use another one"),
        500 => (
            Kind::Remote,
            "The datastore may be full, or the disk damaged; the host's events and its hostd.log \
             say more",
        ),
        502..=504 => (Kind::Busy, "The host has too much to do at once; try again later"),
        _ => (Kind::Remote, "The host's events and its hostd.log may say more"),
    };
    Error::new(kind, format!("the host answered HTTP {status}")).hint(hint)
}

/// The bytes of one file, counted on their way. What goes wrong is kept, because whoever sends
/// tells it in words of its own.
struct Fed<'s> {
    supply: &'s mut dyn Supply,
    /// Read before, and not sent yet.
    head: &'s [u8],
    lease: &'s Lease,
    meter: &'s mut Meter,
    size: Option<u64>,
    sent: u64,
    ended: bool,
    failed: Option<Error>,
}

impl Fed<'_> {
    fn next(&mut self, into: &mut [u8]) -> Result<usize> {
        let read = match self.head.len().min(into.len()) {
            0 => loop {
                match self.supply.read(into) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    result => break result.map_err(from_io)?,
                }
            },
            some => {
                into[..some].copy_from_slice(&self.head[..some]);
                self.head = &self.head[some..];
                some
            }
        };
        self.sent += read as u64;
        if read == 0 && !into.is_empty() {
            self.ended = true;
            if let Some(size) = self.size.filter(|size| *size > self.sent) {
                let said = format!("it ends after {} of {}", amount(self.sent), amount(size));
                return Err(Error::new(Kind::Conflict, said)
                    .hint("The appliance is not whole; fetch it again"));
            }
        }
        self.meter.add(read)?;
        self.lease.moved(self.meter.percent() as i64)?;
        Ok(read)
    }
}

impl Read for Fed<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let Some(error) = &self.failed {
            return Err(into_io(error.clone()));
        }
        self.next(into).map_err(|error| {
            self.failed = Some(error.clone());
            into_io(error)
        })
    }

    crate::text::reading::shared!();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(device: &str) -> Item {
        Item {
            device: device.to_owned(),
            path: format!("{}.vmdk", device.len()),
            size: None,
            create: false,
            disk: true,
            packed: false,
        }
    }

    fn url(key: &str, url: &str) -> Object {
        Object::new("HttpNfcLeaseDeviceUrl").with("importKey", key).with("url", url)
    }

    fn chosen(urls: &[Object], items: &[Item]) -> Vec<Option<String>> {
        let urls: Vec<&Object> = urls.iter().collect();
        let text = |it: &Object| it.text("url").map(str::to_owned);
        (0..items.len()).map(|at| target(&urls, items, at).ok().and_then(text)).collect()
    }

    #[test]
    fn each_file_finds_its_url() {
        let items = [item("/vm/Scsi0:0"), item("/vm/Scsi0:11")];
        let some = |it: &str| Some(it.to_owned());
        // By key, whatever the order; of several hosts the first.
        let urls = [url("/vm/Scsi0:11", "b"), url("/vm/Scsi0:0", "a"), url("/vm/Scsi0:0", "a2")];
        assert_eq!(chosen(&urls, &items), [some("a"), some("b")]);
        // The same places under another name.
        let urls = [url("/v%6d/Scsi0:11", "b"), url("/v%6d/Scsi0:0", "a")];
        assert_eq!(chosen(&urls, &items), [some("a"), some("b")]);
        // By order, where nothing else tells, and only then.
        assert_eq!(chosen(&[url("", "a"), url("", "b")], &items), [some("a"), some("b")]);
        assert_eq!(chosen(&[url("", "a")], &items), [None, None]);
        assert_eq!(chosen(&[url("/x/Ide0:0", "a"), url("/x/Ide0:1", "b")], &items), [None, None]);
        // Two machines with a disk at the same place each.
        let twins = [item("/one/Scsi0:0"), item("/two/Scsi0:0")];
        let urls = [url("/1/Scsi0:0", "a"), url("/2/Scsi0:0", "b")];
        assert_eq!(chosen(&urls, &twins), [None, None]);
    }

    #[test]
    fn a_status_is_told_with_what_to_do() {
        for status in [401, 403, 404, 405, 409, 413, 418, 500, 503] {
            let error = refused(status);
            assert!(error.to_string().contains(&format!("HTTP {status}")), "{error}");
            assert!(error.next_step().is_some(), "{error}");
        }
        let said = missing(&["a.vmdk", "b.vmdk"]).to_string();
        assert!(said.starts_with("`a.vmdk`, `b.vmdk` are not among"), "{said}");
    }
}
