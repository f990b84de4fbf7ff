//! Appliances that are made for a test, sources that count, and whoever drinks the files.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use jumpvisor::error::{Error, Kind, Result};
use jumpvisor::hv::appliances::{Appliances, Collect, Export, Import, Setting, Supply};
use jumpvisor::hv::call::Call;
use jumpvisor::hv::prepared::Prepared;
use jumpvisor::ova::flow::Flow;
use jumpvisor::ova::input::{Begun, Input, Seeks};
use jumpvisor::ova::manifest::{Algorithm, Entry, Manifest};
use jumpvisor::ova::ovf::Descriptor;
use jumpvisor::ova::package::{Depth, Package};
use jumpvisor::ova::write;
use jumpvisor::text::hex::hex;
use jumpvisor::web::exchange::from_io;

/// What an archive holds, in its order.
pub type Members = Vec<(String, Vec<u8>)>;

pub fn member(name: &str, data: impl Into<Vec<u8>>) -> (String, Vec<u8>) {
    (name.to_owned(), data.into())
}

pub fn archive(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, data) in members {
        bytes.extend(write::header(name, data.len() as u64, 0).unwrap());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.extend(write::END);
    bytes
}

/// A manifest of these files.
pub fn manifest(algorithm: Algorithm, of: &[&(String, Vec<u8>)]) -> Vec<u8> {
    let kind = match algorithm {
        Algorithm::Sha1 => &ring::digest::SHA1_FOR_LEGACY_USE_ONLY,
        Algorithm::Sha256 => &ring::digest::SHA256,
        Algorithm::Sha512 => &ring::digest::SHA512,
    };
    let entry = |(name, data): &(String, Vec<u8>)| Entry {
        name: name.clone(),
        algorithm,
        digest: hex(ring::digest::digest(kind, data).as_ref()),
    };
    let entries = of.iter().map(|it| entry(it)).collect();
    Manifest { entries }.write().into_bytes()
}

/// A descriptor with these `File` elements and this in its system, one disk a file.
pub fn descriptor(files: &[&str], system: &str) -> (String, Vec<u8>) {
    let id = |file: &str| file.split("id=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let elements: String = files.iter().map(|it| format!("<File {it}/>")).collect();
    let disks: String = files
        .iter()
        .map(|it| {
            format!("<Disk diskId=\"d-{0}\" fileRef=\"{0}\" capacity=\"1073741824\"/>", id(it))
        })
        .collect();
    let text = format!(
        "<Envelope><References>{elements}</References><DiskSection>{disks}</DiskSection>\
         <NetworkSection><Network name=\"Management\"/><Network name=\"Data\"/></NetworkSection>\
         <VirtualSystem id=\"edge\"><VirtualHardwareSection transport=\"iso\"/>{system}</VirtualSystem></Envelope>"
    );
    member("edge.ovf", text)
}

/// Data of which no two bytes in a row are alike.
pub fn data(size: usize, seed: usize) -> Vec<u8> {
    (0..size).map(|at| ((at * 31 + at / 251 + seed) % 256) as u8).collect()
}

/// What was asked of a source.
#[derive(Default)]
pub struct Asked {
    pub bytes: AtomicU64,
    pub seeks: AtomicUsize,
    pub largest: AtomicUsize,
}

impl Asked {
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::SeqCst)
    }
}

/// Gives the bytes from one on.
pub type Giving = Box<dyn Fn(u64, &mut [u8]) -> usize + Send>;

/// A source of bytes that is what the test says.
pub struct Counted {
    pub data: Giving,
    pub size: Option<u64>,
    pub seeks: Seeks,
    pub at: u64,
    pub asked: Arc<Asked>,
}

impl Counted {
    pub fn new(bytes: Vec<u8>, seeks: Seeks) -> (Counted, Arc<Asked>) {
        let size = (seeks != Seeks::Never).then_some(bytes.len() as u64);
        let data = move |at: u64, into: &mut [u8]| {
            let rest = bytes.get(usize::try_from(at).unwrap()..).unwrap_or_default();
            let most = rest.len().min(into.len());
            into[..most].copy_from_slice(&rest[..most]);
            most
        };
        let asked = Arc::new(Asked::default());
        (Counted { data: Box::new(data), size, seeks, at: 0, asked: asked.clone() }, asked)
    }
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = (self.data)(self.at, into);
        self.at += got as u64;
        self.asked.bytes.fetch_add(got as u64, Ordering::SeqCst);
        self.asked.largest.fetch_max(into.len(), Ordering::SeqCst);
        Ok(got)
    }
}

impl Input for Counted {
    fn shown(&self) -> &str {
        "edge.ova"
    }

    fn size(&self) -> Option<u64> {
        self.size
    }

    fn seeks(&self) -> Seeks {
        self.seeks
    }

    fn seek(&mut self, to: u64) -> Result<()> {
        assert_ne!(self.seeks, Seeks::Never, "a pipe was asked to go back");
        self.asked.seeks.fetch_add(1, Ordering::SeqCst);
        self.at = to;
        Ok(())
    }

    fn check(&self) -> Result<()> {
        Ok(())
    }
}

pub fn package(bytes: Vec<u8>, seeks: Seeks) -> Result<Package<'static>> {
    let (source, _) = Counted::new(bytes, seeks);
    Package::archive(Begun::new(Box::new(source))?, Depth::Deploy)
}

/// The files that arrived, by name in the order of arrival, and what was said of them.
#[derive(Debug, Default, PartialEq)]
pub struct Drunk {
    pub files: Members,
    pub sizes: Vec<Option<u64>>,
    pub said: Vec<String>,
}

impl Drunk {
    pub fn names(&self) -> Vec<&str> {
        self.files.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// Which file it is, the size that was told, and what came.
pub type Came = (usize, Option<u64>, Vec<u8>);

/// Takes all files that are wanted, as a host does: it counts on the sizes that it was told.
pub fn drink(
    next: &mut dyn FnMut(&[&str]) -> Result<Option<Came>>,
    wanted: &[&str],
) -> Result<(Members, Vec<Option<u64>>)> {
    let mut left = wanted.to_vec();
    let (mut files, mut sizes) = (Vec::new(), Vec::new());
    while !left.is_empty() {
        let Some((at, size, bytes)) = next(&left)? else {
            return Err(Error::new(Kind::NotFound, format!("`{}` never came", left.join(", "))));
        };
        assert!(size.is_none_or(|it| it == bytes.len() as u64), "{size:?}");
        files.push((left.remove(at).to_owned(), bytes));
        sizes.push(size);
    }
    Ok((files, sizes))
}

/// The files of an archive, all of them wanted.
pub fn through(bytes: Vec<u8>, seeks: Seeks, verify: bool) -> Result<Drunk> {
    flowed(package(bytes, seeks)?, verify)
}

pub fn flowed(package: Package<'_>, verify: bool) -> Result<Drunk> {
    let hrefs: Vec<String> = package
        .descriptor
        .disks
        .iter()
        .filter_map(|it| package.descriptor.file(it.file.as_ref()?))
        .map(|it| it.href.clone())
        .collect();
    let wanted: Vec<&str> = hrefs.iter().map(String::as_str).collect();
    let mut flow = Flow::new(package, verify)?;
    let mut next = |left: &[&str]| {
        let Some(arrival) = flow.next(left)? else { return Ok(None) };
        let mut bytes = Vec::new();
        flow.read_to_end(&mut bytes).map_err(from_io)?;
        Ok(Some((arrival.at, arrival.size, bytes)))
    };
    let (files, sizes) = drink(&mut next, &wanted)?;
    let said = flow.finish()?;
    Ok(Drunk { files, sizes, said })
}

/// What a hypervisor was asked to make, and what it got.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub name: String,
    pub option: Option<String>,
    pub network: Option<String>,
    pub networks: Vec<(String, String)>,
    pub settings: Vec<Setting>,
    pub one_pass: bool,
    pub power_on: bool,
    pub files: Members,
}

/// Appliances that are drunk and remembered.
#[derive(Clone, Default)]
pub struct Cellar(pub Arc<Mutex<Seen>>);

impl Appliances for Cellar {
    fn import<'a>(
        &'a self,
        _: &Call,
        what: &Import<'_>,
        mut files: Box<dyn Supply + 'a>,
    ) -> Result<Prepared<'a>> {
        *self.0.lock().unwrap() = Seen {
            name: what.name.to_owned(),
            option: what.option.map(str::to_owned),
            network: what.network.map(str::to_owned),
            networks: what.networks.to_vec(),
            settings: what.settings.to_vec(),
            one_pass: what.one_pass,
            power_on: what.power_on,
            files: Vec::new(),
        };
        let descriptor = Descriptor::parse(what.descriptor.as_bytes())?;
        let seen = self.0.clone();
        Ok(Prepared::new(vec!["the VM is made".to_owned()], "", move |_| {
            let hrefs: Vec<&str> = descriptor.files.iter().map(|it| it.href.as_str()).collect();
            let mut next = |left: &[&str]| {
                let Some(piece) = files.next(left)? else { return Ok(None) };
                let mut bytes = Vec::new();
                files.read_to_end(&mut bytes).map_err(from_io)?;
                Ok(Some((piece.at, piece.size, bytes)))
            };
            let (drunk, _) = drink(&mut next, &hrefs)?;
            seen.lock().unwrap().files = drunk;
            files.finish()
        }))
    }

    fn export<'a>(
        &'a self,
        _: &Call,
        _: &Export<'_>,
        _: Box<dyn Collect + 'a>,
    ) -> Result<Prepared<'a>> {
        Err(Error::bug("nothing is exported here"))
    }
}

/// A folder that is gone when the test is.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("jv-ovat-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn put(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
