//! Exports of the simulated host: what others read of them, and that nothing stays of one that
//! fails, here or there.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

#[path = "ova_export/lab.rs"]
mod lab;
#[path = "ova_export/store.rs"]
mod store;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use jumpvisor::error::Kind;
use jumpvisor::ova::manifest::{Checker, Manifest};
use jumpvisor::ova::ovf::Descriptor;
use jumpvisor::ova::tar::Tar;

use crate::lab::{Lab, digest, json_text};

/// The names in an archive, by another program.
fn listed(program: &str, args: &[&str]) -> Vec<String> {
    let output = Command::new(program).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{program}: {said}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// The files of a folder by their manifest, as `sha256sum -c` would check them.
fn must_agree(folder: &Path, stem: &str, disks: &[(u64, String)]) {
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let manifest = Manifest::parse(&read(&format!("{stem}.mf"))).unwrap();
    assert_eq!(manifest.entries.len(), disks.len() + 1);
    for entry in &manifest.entries {
        assert_eq!(digest(&read(&entry.name)), entry.digest, "{}", entry.name);
    }
    let descriptor = Descriptor::parse(&read(&format!("{stem}.ovf"))).unwrap();
    assert_eq!(descriptor.name.as_deref(), Some(stem));
    assert_eq!((descriptor.files.len(), descriptor.disks.len()), (disks.len(), disks.len()));
    for (at, (size, sum)) in disks.iter().enumerate() {
        let name = format!("{stem}-disk{}.vmdk", at + 1);
        assert_eq!(&digest(&read(&name)), sum, "{name} is not what the host sent");
        let file = descriptor.files.iter().find(|it| it.href == name).expect("it is not described");
        assert_eq!(file.size, Some(*size));
        assert!(descriptor.disks.iter().any(|it| it.file.as_ref() == Some(&file.id)), "{name}");
    }
}

#[test]
fn an_archive_is_read_by_everybody() {
    // One that is off, and one that runs and has two disks.
    for (name, disks) in [("test01", 1), ("db01", 2)] {
        let lab = Lab::new("[]");
        let path = lab.path("it.ova");
        let shown = lab.export(name, &format!(r#""target_path":{}"#, json_text(&path))).unwrap();
        assert!(shown.contains("all is as the manifest says"), "{shown}");
        let sent = lab.sent();
        assert_eq!(sent.len(), disks);
        let mut wanted = vec![format!("{name}.ovf"), format!("{name}.mf")];
        wanted.extend((1..=disks).map(|it| format!("{name}-disk{it}.vmdk")));
        assert_eq!(listed("tar", &["-tf", &path]), wanted);
        assert_eq!(listed("bsdtar", &["-tf", &path]), wanted);
        let python =
            "import sys, tarfile\n[print(it.name) for it in tarfile.open(sys.argv[1], 'r:')]";
        assert_eq!(listed("python3", &["-c", python, &path]), wanted);
        let out = lab.folder.join("out");
        std::fs::create_dir(&out).unwrap();
        listed("tar", &["-xf", &path, "-C", out.to_str().unwrap()]);
        must_agree(&out, name, &sent);
        let (mut tar, mut checker) = (Tar::new(File::open(&path).unwrap()), Checker::default());
        while let Some(member) = tar.advance().unwrap() {
            let (mut file, mut bytes) = (checker.begin(&member.name), Vec::new());
            tar.read_to_end(&mut bytes).unwrap();
            file.update(&bytes);
            match member.name.ends_with(".mf") {
                true => checker.learn(Manifest::parse(&bytes).unwrap()).unwrap(),
                false => checker.end(file).unwrap(),
            }
        }
        assert!(checker.finish().unwrap());
        std::fs::remove_dir_all(out).unwrap();
        assert_eq!(lab.files(), ["it.ova"]);
        lab.must_be_untouched(name);
    }
}

#[test]
fn a_folder_holds_the_same_and_is_replaced_only_where_asked() {
    let lab = Lab::new("[]");
    let target = format!(r#""format":"ovf","target_path":{}"#, json_text(&lab.path("db")));
    lab.export("db01", &target).unwrap();
    must_agree(&lab.folder.join("db"), "db01", &lab.sent());
    let before = lab.files();
    assert_eq!(before.len(), 4);
    let error = lab.export("db01", &target).unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict, "{error}");
    assert_eq!(lab.sent().len(), 0, "the disks were fetched for nothing");
    lab.export("db01", &format!(r#"{target},"overwrite":true"#)).unwrap();
    assert_eq!(lab.files(), before);
    lab.must_be_untouched("db01");
}

#[test]
fn what_fails_leaves_nothing_here_and_there() {
    let gone = r#"{"method": "HttpNfcLeaseProgress", "fault": "Timedout"}, {"path": "/ha-nfc/*", "delay_ms": 1500}"#;
    for (rules, said) in [
        (r#"{"path": "/ha-nfc/*", "drop": 300000}"#, "`db01-disk1.vmdk`: "),
        (r#"{"path": "/ha-nfc/*", "nth": 2, "drop": 1}"#, "`db01-disk2.vmdk`: "),
        (r#"{"path": "/ha-nfc/*", "status": 500}"#, "answered with HTTP 500"),
        (gone, "the host gave the lease up"),
        (r#"{"method": "ExportSnapshot", "fault": "TaskInProgress"}"#, "Another task"),
        (
            r#"{"method": "HttpNfcLeaseComplete", "nth": 9, "fault": "Timedout"}, {"method": "CreateDescriptor", "nth": 3, "fault": "InvalidState"}"#,
            "CreateDescriptor",
        ),
        (
            r#"{"method": "CreateSnapshot_Task", "fault": "FileFault", "in_task": true}"#,
            "the temporary snapshot `jumpvisor-export`",
        ),
        (r#"{"method": "CreateDescriptor", "fault": "NoPermission"}"#, "privilege"),
    ] {
        for format in [r#""target_path":"TO/it.ova""#, r#""format":"ovf","target_path":"TO/it""#] {
            let lab = Lab::new(&format!("[{rules}]"));
            if rules == gone {
                lab.simulator.world().nfc.timeout = 1;
            }
            let target = format.replace("TO", lab.folder.to_str().unwrap());
            let error = lab.export("db01", &target).unwrap_err().to_string();
            assert!(error.contains(said), "{rules}: {error}");
            assert_eq!(lab.files(), [""; 0], "{rules}");
            lab.must_be_untouched("db01");
        }
    }
}

#[test]
fn a_snapshot_that_cannot_be_removed_is_told() {
    let rules = r#"{"method": "RemoveSnapshot_Task", "nth": 1, "fault": "TaskInProgress"}"#;
    for (more, well) in [("", true), (r#", {"path": "/ha-nfc/*", "status": 500}"#, false)] {
        let lab = Lab::new(&format!("[{rules}{more}]"));
        let target = format!(r#""target_path":{}"#, json_text(&lab.path("it.ova")));
        let said = match lab.export("web01", &target) {
            Ok(shown) => shown,
            Err(error) => error.to_string(),
        };
        let told = "the temporary snapshot `jumpvisor-export` was not removed";
        assert!(said.contains(told) && said.contains("delete_snapshot removes it"), "{said}");
        assert_eq!(lab.files().len(), usize::from(well));
        assert!(lab.snapshots("web01").contains("jumpvisor-export"));
    }
}

#[test]
fn behind_a_vcenter_the_lease_says_by_what_its_host_is_known() {
    const NONE: &str = "<sslThumbprint></sslThumbprint>";
    const SHA1: &str = "<sslThumbprint>01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14\
                        </sslThumbprint>";
    // What vCenter knows of that host, where the lease says nothing.
    let known = "Fingerprint([27, 101, 246, 138,";
    for (swap, wanted) in [(Some((NONE, SHA1)), "Thumbprint([1, 2, 3, 4,"), (None, known)] {
        let lab = Lab::of(true, "[]", swap);
        let target = format!(r#""target_path":{}"#, json_text(&lab.path("it.ova")));
        lab.export("db01", &target).unwrap();
        let reached = lab.reached();
        assert!(reached.len() == 2 && reached.iter().all(|it| it.contains(wanted)), "{reached:?}");
    }
}

#[test]
fn who_cancels_in_the_middle_leaves_nothing() {
    for name in ["test01", "web01"] {
        let lab = Lab::new("[]");
        lab.cancel_after(200_000);
        let target = format!(r#""target_path":{}"#, json_text(&lab.path("it.ova")));
        let error = lab.export(name, &target).unwrap_err();
        assert_eq!(error.kind(), Kind::Cancelled, "{error}");
        assert_eq!(lab.files(), [""; 0]);
        lab.must_be_untouched(name);
    }
}

#[test]
fn a_full_disk_leaves_nothing() {
    let lab = Lab::new("[]");
    // A limit of 100 or 200 KB, as the shell counts; the disk has 560.
    let limited = r#"trap "" XFSZ; ulimit -f 200; exec "$0" "$@""#;
    for target in ["it.ova", "it"] {
        let mut command = Command::new("sh");
        command.args(["-c", limited, env!("CARGO_BIN_EXE_jumpvisor"), "--demo", "call"]);
        let format = if target == "it" { "ovf" } else { "ova" };
        let target = format!("target_path={}", lab.path(target));
        command.args(["export_vm_ovf", "vm_name=test01", &format!("format={format}"), &target]);
        let output = command.env_clear().current_dir(&lab.folder).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(said.contains("cannot be written: ") && said.contains("space"), "{said}");
        assert_eq!(lab.files(), [""; 0]);
    }
}
