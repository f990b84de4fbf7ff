//! Archives that other tools made are read: GNU tar, bsdtar and Python's tarfile, in each format that
//! they write, from a pipe and front to back, and their disks arrive whole with the digests right.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use jumpvisor::files::Files;
use jumpvisor::files::source::Source;
use jumpvisor::hv::call::{Call, Rights};
use jumpvisor::ova::flow::Flow;
use jumpvisor::ova::input::Begun;
use jumpvisor::ova::package::{Depth, Package};
use jumpvisor::ova::tar::Tar;
use jumpvisor::text::hex::hex;
use jumpvisor::tools::ova_source::input;

/// Longer than a header has room for.
const LONG: &str = "a-rather-long-name-that-some-vendor-has-chosen-for-the-first-disk-of-its-appliance-because-it-could-and-nobody-minded.vmdk";

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("jv-ova-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(path.join("parts")).unwrap();
        let write = |name: &str, data: &[u8]| {
            std::fs::write(path.join("parts").join(name), data).unwrap();
        };
        let ovf = format!(
            "<Envelope><References><File id='a' href='disk-1.vmdk'/><File id='b' href='{LONG}'/>\
             </References><VirtualSystem id='edge'/></Envelope>"
        );
        let parts = [("edge.ovf", ovf.as_bytes()), ("disk-1.vmdk", &[7; 70_000]), (LONG, b"long")];
        let mut listing = String::new();
        for (name, data) in parts {
            write(name, data);
            let digest = ring::digest::digest(&ring::digest::SHA256, data);
            listing.push_str(&format!("SHA256({name})= {}\n", hex(digest.as_ref())));
        }
        write("edge.mf", listing.as_bytes());
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const NAMES: [&str; 4] = ["edge.ovf", "edge.mf", "disk-1.vmdk", LONG];

/// Reads what the command writes to its standard output.
fn read(mut command: Command, folder: &Path, what: &str) {
    let run = command.current_dir(folder.join("parts")).stdout(Stdio::piped()).spawn();
    let mut run = run.unwrap_or_else(|error| panic!("{what} cannot be run: {error}"));
    let mut tar = Tar::new(run.stdout.take().unwrap());
    let mut found = Vec::new();
    while let Some(member) = tar.advance().unwrap_or_else(|error| panic!("{what}: {error}")) {
        let mut data = Vec::new();
        tar.read_to_end(&mut data).unwrap();
        assert_eq!(data, std::fs::read(folder.join("parts").join(&member.name)).unwrap(), "{what}");
        found.push(member.name);
    }
    drop(tar);
    assert!(run.wait().is_ok());
    assert_eq!(found, NAMES, "{what}");
    // The same through a pipe, and out of a file.
    let run = command.stdout(Stdio::piped()).spawn();
    let mut run = run.unwrap();
    arrive(Source::pipe(what, run.stdout.take().unwrap()), folder, what);
    assert!(run.wait().unwrap().success());
    let path = folder.join("made.ova");
    let file = std::fs::File::create(&path).unwrap();
    assert!(command.stdout(file).status().unwrap().success());
    let path = path.display().to_string();
    arrive(Files::anywhere().open(&path).unwrap(), folder, what);
}

/// Every disk arrives, and is what the manifest says.
fn arrive(source: Source<'_>, folder: &Path, what: &str) {
    let call = Call::new(Rights::ReadOnly);
    let package = Package::archive(Begun::new(input(source, true, &call)).unwrap(), Depth::Deploy);
    let mut flow = Flow::new(package.unwrap(), true).unwrap();
    let mut wanted = vec![LONG, "disk-1.vmdk"];
    while let Some(came) = flow.next(&wanted).unwrap() {
        let mut data = Vec::new();
        flow.read_to_end(&mut data).unwrap();
        let name = wanted.remove(came.at);
        assert_eq!(came.size, Some(data.len() as u64));
        assert_eq!(data, std::fs::read(folder.join("parts").join(name)).unwrap(), "{what}");
    }
    assert_eq!(wanted, [""; 0]);
    assert_eq!(flow.finish().unwrap(), ["3 files compared with the manifest `edge.mf`"], "{what}");
}

#[test]
fn archives_of_gnu_tar() {
    let folder = Folder::new("gnu");
    for format in ["gnu", "oldgnu", "posix", "pax"] {
        let mut command = Command::new("tar");
        command.arg(format!("--format={format}")).args(["-cf", "-"]).args(NAMES);
        read(command, &folder.0, format);
    }
    // With ./ before each name, as `tar -C folder .` writes them, and a block size of its own.
    let mut command = Command::new("tar");
    command.args(["-b", "1", "-cf", "-"]).args(NAMES.map(|it| format!("./{it}")));
    read(command, &folder.0, "dotted");
}

#[test]
fn archives_of_bsdtar() {
    let folder = Folder::new("bsd");
    for format in ["gnutar", "pax"] {
        let mut command = Command::new("bsdtar");
        command.args(["--format", format, "-cf", "-"]).args(NAMES);
        read(command, &folder.0, format);
    }
}

#[test]
fn archives_of_python() {
    let folder = Folder::new("python");
    for format in ["GNU_FORMAT", "PAX_FORMAT"] {
        let script = format!(
            "import sys, tarfile\n\
             with tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=tarfile.{format}) as t:\n    \
                 [t.add(name) for name in sys.argv[1:]]"
        );
        let mut command = Command::new("python3");
        command.args(["-c", &script]).args(NAMES);
        read(command, &folder.0, format);
    }
}

#[test]
fn a_disk_beyond_8_gib_has_its_size_in_each_format() {
    const SIZE: u64 = 9 << 30;
    let folder = Folder::new("large");
    let disk = std::fs::File::create(folder.0.join("parts/big.vmdk")).unwrap();
    disk.set_len(SIZE).unwrap();
    for format in ["gnu", "posix"] {
        let mut command = Command::new("tar");
        command.arg(format!("--format={format}")).args(["-cf", "-", "edge.ovf", "big.vmdk"]);
        let run = command.current_dir(folder.0.join("parts")).stdout(Stdio::piped()).spawn();
        let mut run = run.unwrap();
        let mut tar = Tar::new(run.stdout.take().unwrap());
        assert_eq!(tar.advance().unwrap().unwrap().name, "edge.ovf");
        assert_eq!(tar.advance().unwrap().unwrap().size, SIZE, "{format}");
        drop(tar);
        let _ = run.wait();
    }
    // Sparse members are refused, not misread.
    let mut command = Command::new("tar");
    command.args(["--sparse", "-cf", "-", "big.vmdk"]);
    let run = command.current_dir(folder.0.join("parts")).stdout(Stdio::piped()).spawn();
    let error = Tar::new(run.unwrap().stdout.take().unwrap()).advance().unwrap_err();
    assert!(error.to_string().contains("sparse"), "{error}");
}
