//! Where an exported machine goes: an OVA or a folder on this machine, or a folder on a datastore.
//!
//! It must not know where a machine comes from. Surprising: an OVA begins with what is known last,
//! so it is written out of order and needs a file in which one can go back; and what is not finished
//! goes again, whoever drops it.

use std::io;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::digest;

use crate::error::{Error, Kind, Result};
use crate::files::Files;
use crate::files::source::pump;
use crate::files::target::{Folder, Target};
use crate::hv::appliances::Collect;
use crate::hv::call::{Call, Rights};
use crate::hv::meter::Meter;
use crate::hv::stores::{Browse, Slot, Stores};
use crate::ova::manifest::{Algorithm, Entry, Manifest};
use crate::ova::ovf::Descriptor;
use crate::ova::pack;
use crate::ova::pack::Pack;
use crate::text::hex::hex;
use crate::text::words::counted;

/// What taking away a half export on a datastore may cost.
const PARTING: Duration = Duration::from_secs(120);

/// A file of the export that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    pub name: String,
    pub size: u64,
    /// Lower-case hex.
    pub sha256: String,
}

/// What was written so far, for who answers the caller.
#[derive(Clone, Default)]
pub struct Sheet(Arc<Mutex<Vec<Saved>>>);

impl Sheet {
    /// All of it, in the order in which it was written.
    pub fn all(&self) -> MutexGuard<'_, Vec<Saved>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, name: &str, size: u64, sha256: String) {
        self.all().push(Saved { name: name.to_owned(), size, sha256 });
    }

    /// The manifest of what was written, `descriptor` with these bytes first.
    fn manifest(&self, descriptor: &str, bytes: &[u8]) -> String {
        let entry = |name: &str, digest: &str| Entry {
            name: name.to_owned(),
            algorithm: Algorithm::Sha256,
            digest: digest.to_owned(),
        };
        let first = entry(descriptor, &sha256(bytes));
        let rest: Vec<Entry> = self.all().iter().map(|it| entry(&it.name, &it.sha256)).collect();
        let entries = [vec![first], rest].concat();
        Manifest { entries }.write()
    }

    /// Refuses a descriptor that leaves a file out: it would make a machine without a disk.
    fn must_be_described(&self, descriptor: &str) -> Result<()> {
        let read = Descriptor::parse(descriptor.as_bytes())?;
        // unverified: whether a server writes a blank in a name as it is or as %20.
        let known = |it: &Saved| {
            let same = |href: &str| href == it.name || href.replace("%20", " ") == it.name;
            read.files.iter().any(|file| same(&file.href))
        };
        match self.all().iter().find(|it| !known(it)) {
            None => Ok(()),
            Some(it) => Err(Error::new(
                Kind::Remote,
                format!("the server's descriptor does not name `{}`", it.name),
            )
            .hint("The VM may have been changed meanwhile; try again")),
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// What is read, counted and digested.
struct Counted<'a> {
    body: &'a mut dyn Read,
    size: u64,
    digest: digest::Context,
}

impl<'a> Counted<'a> {
    fn new(body: &'a mut dyn Read) -> Counted<'a> {
        Counted { body, size: 0, digest: digest::Context::new(&digest::SHA256) }
    }

    fn sum(self) -> (u64, String) {
        (self.size, hex(self.digest.finish().as_ref()))
    }
}

/// Writes all of a body where the file stands; its bytes and their digest.
fn into_file(target: &mut Target, body: &mut dyn Read) -> Result<(u64, String)> {
    let mut digest = digest::Context::new(&digest::SHA256);
    let size = pump(body, &mut |piece| {
        target.write_all(piece).map_err(|error| target.failed(&error))?;
        digest.update(piece);
        Ok(())
    })?;
    Ok((size, hex(digest.finish().as_ref())))
}

impl Read for Counted<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.body.read(into)?;
        self.digest.update(&into[..got]);
        self.size += got as u64;
        Ok(got)
    }

    crate::text::reading::shared!();
}

/// The manifest's name beside a descriptor's.
fn manifest_name(descriptor: &str) -> String {
    format!("{}.mf", descriptor.strip_suffix(".ovf").unwrap_or(descriptor))
}

fn unbegun() -> Error {
    Error::bug("an export was not begun")
}

/// An OVA on this machine.
pub struct Archive<'a> {
    pub files: &'a Files,
    pub path: String,
    pub overwrite: bool,
    /// Read it once more before it gets its name.
    pub verify: bool,
    pub sheet: Sheet,
    pub open: Option<Open>,
}

/// An archive that is being written.
pub struct Open {
    call: Call,
    target: Target,
    pack: Pack,
    descriptor: String,
    /// Where the next header goes.
    at: u64,
}

impl Collect for Archive<'_> {
    fn begin(&mut self, call: &Call, names: &[String], draft: &str) -> Result<()> {
        let (descriptor, files) = names.split_first().ok_or_else(unbegun)?;
        let sample = |name: &String| Entry {
            name: name.clone(),
            algorithm: Algorithm::Sha256,
            digest: sha256(b""),
        };
        let manifest = Manifest { entries: names.iter().map(sample).collect() }.write();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mf = manifest_name(descriptor);
        let room = (mf.as_str(), manifest.len() as u64);
        let pack = Pack::new((descriptor, draft), room, files, now)?;
        let target = self.files.create(&self.path, self.overwrite)?;
        let (call, at) = (call.clone(), pack.files_at());
        self.open = Some(Open { call, target, pack, descriptor: descriptor.clone(), at });
        Ok(())
    }

    fn file(&mut self, name: &str, body: &mut dyn Read) -> Result<u64> {
        let open = self.open.as_mut().ok_or_else(unbegun)?;
        open.target.seek(pack::data_at(open.at))?;
        let (size, sum) = into_file(&mut open.target, body)?;
        open.target.write_at(&open.pack.header(name, size)?, open.at)?;
        open.at = pack::next_at(open.at, size);
        self.sheet.note(name, size, sum);
        Ok(size)
    }

    fn finish(&mut self, descriptor: &str) -> Result<Vec<String>> {
        let Open { call, mut target, pack, descriptor: name, at } =
            self.open.take().ok_or_else(unbegun)?;
        self.sheet.must_be_described(descriptor)?;
        let text = pack.descriptor(descriptor)?;
        let manifest = self.sheet.manifest(&name, &text);
        target.write_at(&pack.head(&text, manifest.as_bytes())?, 0)?;
        target.write_at(pack::end(), at)?;
        let bytes = at + pack::end().len() as u64;
        self.sheet.all().insert(0, saved(&name, &text));
        let count = self.sheet.all().len() + 1;
        let mut done =
            vec![format!("{} in `{}`, {bytes} bytes", counted(count, "file"), self.path)];
        if self.verify {
            let mut meter = Meter::new(&call, "checking what was written", Some(bytes));
            let mut source = target.read_back()?;
            pack::check(&mut source, count, &mut |bytes| meter.add(bytes))
                .map_err(|error| error.during(format!("`{}` was read back", self.path)))?;
            done.push("read back, and all is as the manifest says".to_owned());
        }
        target.commit()?;
        Ok(done)
    }
}

fn saved(name: &str, bytes: &[u8]) -> Saved {
    Saved { name: name.to_owned(), size: bytes.len() as u64, sha256: sha256(bytes) }
}

/// A folder on this machine with the descriptor and its files.
pub struct Pieces<'a> {
    pub files: &'a Files,
    pub folder: String,
    pub overwrite: bool,
    pub verify: bool,
    pub sheet: Sheet,
    pub open: Option<Begun>,
}

/// A folder that is being written; its files go before it does.
pub struct Begun {
    call: Call,
    descriptor: String,
    targets: Vec<Target>,
    made: Option<Folder>,
}

impl Pieces<'_> {
    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.folder.trim_end_matches('/'))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<Target> {
        let mut target = self.files.create(&self.path(name), self.overwrite)?;
        target.write_all(bytes).map_err(|error| target.failed(&error))?;
        Ok(target)
    }
}

impl Collect for Pieces<'_> {
    fn begin(&mut self, call: &Call, names: &[String], _: &str) -> Result<()> {
        let descriptor = names.first().ok_or_else(unbegun)?.clone();
        let made = match self.files.is_folder(&self.folder)? {
            true => None,
            false => Some(self.files.make_folder(&self.folder)?),
        };
        for name in names.iter().chain([&manifest_name(&descriptor)]) {
            self.files.may_create(&self.path(name), self.overwrite)?;
        }
        let call = call.clone();
        self.open = Some(Begun { call, descriptor, targets: Vec::new(), made });
        Ok(())
    }

    fn file(&mut self, name: &str, body: &mut dyn Read) -> Result<u64> {
        let mut target = self.files.create(&self.path(name), self.overwrite)?;
        let (size, sum) = into_file(&mut target, body)?;
        self.open.as_mut().ok_or_else(unbegun)?.targets.push(target);
        self.sheet.note(name, size, sum);
        Ok(size)
    }

    fn finish(&mut self, descriptor: &str) -> Result<Vec<String>> {
        let mut begun = self.open.take().ok_or_else(unbegun)?;
        self.sheet.must_be_described(descriptor)?;
        let (name, text) = (begun.descriptor.as_str(), descriptor.as_bytes());
        let manifest = self.sheet.manifest(name, text);
        let mf = manifest_name(name);
        let mut done = Vec::new();
        if self.verify {
            let saved = self.sheet.all().clone();
            let total = saved.iter().map(|it| it.size).sum();
            let mut meter = Meter::new(&begun.call, "checking what was written", Some(total));
            for (target, it) in begun.targets.iter_mut().zip(&saved) {
                same(target, &mut meter, it)
                    .map_err(|error| error.during(format!("`{}` was read back", it.name)))?;
            }
            done.push("read back, and all is as the manifest says".to_owned());
        }
        begun.targets.push(self.write(&mf, manifest.as_bytes())?);
        // The descriptor last: where it is, all is.
        begun.targets.push(self.write(name, text)?);
        for target in &mut begun.targets {
            target.rename()?;
        }
        begun.targets.into_iter().for_each(Target::keep);
        begun.made.into_iter().for_each(Folder::keep);
        self.sheet.all().insert(0, saved(name, text));
        let count = counted(self.sheet.all().len() + 1, "file");
        done.insert(0, format!("{count} in the folder `{}`", self.folder));
        Ok(done)
    }
}

/// Compares a file with what was meant to be in it.
fn same(target: &mut Target, meter: &mut Meter, meant: &Saved) -> Result<()> {
    let mut digest = digest::Context::new(&digest::SHA256);
    let size = pump(&mut target.read_back()?, &mut |piece| {
        digest.update(piece);
        meter.add(piece.len())
    })?;
    match size == meant.size && hex(digest.finish().as_ref()) == meant.sha256 {
        true => Ok(()),
        false => Err(Error::new(Kind::Conflict, "it is not what was written")
            .hint("The disk here may be failing")),
    }
}

/// A folder on a datastore with the descriptor and its files.
pub struct Remote<'a> {
    pub stores: &'a dyn Stores,
    pub store: Option<String>,
    pub folder: String,
    pub overwrite: bool,
    pub sheet: Sheet,
    pub sent: Sent,
}

/// What of it is on the datastore so far.
#[derive(Default)]
pub struct Sent {
    call: Option<Call>,
    descriptor: String,
    /// Where each file goes.
    slots: Vec<(String, Slot)>,
    written: usize,
    /// Words on what was replaced and could not be deleted.
    left: Vec<String>,
}

impl Remote<'_> {
    /// The path of a file on the datastore.
    pub fn path(folder: &str, name: &str) -> String {
        match folder.trim_end_matches('/') {
            "" => name.to_owned(),
            folder => format!("{folder}/{name}"),
        }
    }

    fn send(&mut self, name: &str, size: Option<u64>, body: &mut dyn Read) -> Result<u64> {
        let call = self.sent.call.as_ref().ok_or_else(unbegun)?;
        let at = self.sent.slots.iter().position(|(it, _)| it == name).ok_or_else(unbegun)?;
        let mut body = Counted::new(body);
        let left = self.stores.write(call, &self.sent.slots[at].1, size, &mut body)?;
        self.sent.left.extend(left);
        // In the order of what was written, so that a failure knows what to take away.
        self.sent.slots.swap(at, self.sent.written);
        self.sent.written += 1;
        let (size, sum) = body.sum();
        self.sheet.note(name, size, sum);
        Ok(size)
    }

    /// Takes away what is of no use.
    fn clear(&self) -> Result<()> {
        let call = Call::new(Rights::Change).within(PARTING);
        let written = &self.sent.slots[..self.sent.written];
        for (_, slot) in written {
            self.stores.remove(&call, &slot.store, &slot.path)?.run(&call)?;
        }
        let Some((_, Slot { store, makes: Some(path), .. })) = self.sent.slots.first() else {
            return Ok(());
        };
        let what = Browse { store, path, recursive: true, pattern: None, disks: false };
        match self.stores.browse(&call, &what) {
            Ok(found) if found.iter().all(|it| it.folder) => {
                self.stores.remove(&call, store, path)?.run(&call).map(drop)
            }
            // Somebody else's, or never made.
            Ok(_) => Ok(()),
            Err(error) if error.kind() == Kind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Collect for Remote<'_> {
    fn begin(&mut self, call: &Call, names: &[String], _: &str) -> Result<()> {
        let descriptor = names.first().ok_or_else(unbegun)?.clone();
        for name in names.iter().chain([&manifest_name(&descriptor)]) {
            let path = Remote::path(&self.folder, name);
            let slot = self.stores.slot(call, self.store.as_deref(), &path, self.overwrite)?;
            // Its disks are meant to be packed: whoever deploys them unpacks them.
            self.sent.slots.push((name.clone(), Slot { warning: None, ..slot }));
        }
        (self.sent.call, self.sent.descriptor) = (Some(call.clone()), descriptor);
        Ok(())
    }

    fn file(&mut self, name: &str, body: &mut dyn Read) -> Result<u64> {
        self.send(name, None, body)
    }

    fn finish(&mut self, descriptor: &str) -> Result<Vec<String>> {
        self.sheet.must_be_described(descriptor)?;
        let (name, text) = (self.sent.descriptor.clone(), descriptor.as_bytes());
        let manifest = self.sheet.manifest(&name, text);
        let parts = [(manifest_name(&name), manifest.as_bytes()), (name, text)];
        for (name, mut bytes) in parts {
            self.send(&name, Some(bytes.len() as u64), &mut bytes)?;
        }
        // In the order of the other ways: the descriptor, the files; the manifest is not told.
        let mut all = self.sheet.all();
        let last = all.pop();
        all.pop();
        last.into_iter().for_each(|it| all.insert(0, it));
        let shown = self.sent.slots.last().map(|(_, it)| it.shown.clone()).unwrap_or_default();
        let count = counted(all.len() + 1, "file");
        self.sent.written = 0;
        self.sent.slots.clear();
        let mut done = vec![format!("{count} on the datastore, the descriptor as {shown}")];
        done.append(&mut self.sent.left);
        Ok(done)
    }
}

impl Drop for Remote<'_> {
    fn drop(&mut self) {
        if self.sent.slots.is_empty() {
            return;
        }
        if let Err(error) = self.clear() {
            log::warn!("a half export on the datastore could not be taken away: {error}");
        }
    }
}
