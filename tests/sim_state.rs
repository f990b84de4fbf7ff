//! `--state FILE`: what was done to the simulated servers is there again in the next process.
//!
//! Each step is a process of its own, as a person would have it.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

use std::path::{Path, PathBuf};
use std::process::Command;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("jumpvisor-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Status and everything that was said.
fn call(state: &Path, words: &str) -> (i32, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_jumpvisor"))
        .args(["--demo", "--state"])
        .arg(state)
        .arg("call")
        .args(words.split(' '))
        .output()
        .unwrap();
    let said = [done.stdout, done.stderr].concat();
    (done.status.code().unwrap(), String::from_utf8(said).unwrap())
}

fn good(state: &Path, words: &str) -> String {
    let (status, said) = call(state, words);
    assert_eq!(status, 0, "{words}: {said}");
    said
}

#[test]
fn what_was_done_is_there_again() {
    let folder = Folder::new("state");
    let state = folder.0.join("lab");
    let made = good(&state, "create_vm name=new01");
    let id = made.split("id ").nth(1).unwrap().split(',').next().unwrap().to_owned();
    good(&state, "create_snapshot name=new01 snapshot_name=first");
    good(&state, "power_on name=new01");
    good(&state, "delete_vm name=test01");
    let info = good(&state, "get_vm_info name=new01");
    assert!(info.contains(&format!("\nid: {id}\n")) && info.contains("power_state: on"), "{info}");
    assert!(info.contains("\nsnapshots: 1\n"), "{info}");
    let (status, said) = call(&state, "get_vm_info name=test01");
    assert_eq!(status, 3, "{said}");
    // Nothing that was only read is kept, and the same is read however often it was.
    let before = std::fs::read_to_string(&state).unwrap();
    let listed = good(&state, "list_snapshots name=new01");
    assert_eq!(good(&state, "list_snapshots name=new01"), listed);
    assert_eq!(std::fs::read_to_string(&state).unwrap(), before);
    assert!(!before.contains("PropertyCollector") && !before.contains("<Login"), "{before}");
}

#[test]
fn an_export_behind_a_search_has_ended_when_it_is_there_again() {
    let folder = Folder::new("export");
    let state = folder.0.join("lab");
    for to in ["one", "two"] {
        // A lease whose id were another now would hold the machine for ever.
        good(&state, &format!("export_vm_ovf vm_name=test01 datastore=nas01 target_path={to}"));
    }
}

#[test]
fn changes_that_build_on_one_another_are_all_there_again() {
    let folder = Folder::new("versions");
    let state = folder.0.join("lab");
    for at in 3..9 {
        let said = good(&state, "add_disk vm_name=files01 size_gb=1");
        assert!(said.contains(&format!("Hard disk {at} ")), "{said}");
    }
}

#[test]
fn the_two_servers_keep_their_own() {
    let folder = Folder::new("states");
    let state = folder.0.join("lab");
    good(&state, "rename_vm name=web01 new_name=front01 host=vcenter01");
    assert!(good(&state, "list_vms name=front* host=vcenter01").contains("front01"));
    assert!(good(&state, "list_vms name=web01").contains("web01"));
    assert!(folder.0.join("lab-vcenter").exists());
}

#[test]
fn a_file_that_is_none_is_refused_and_left_alone() {
    let folder = Folder::new("foreign");
    let state = folder.0.join("notes.txt");
    std::fs::write(&state, "buy milk\n").unwrap();
    let (status, said) = call(&state, "list_vms");
    assert_eq!(status, 2, "{said}");
    assert!(said.contains("was not written by this program. Name another file"), "{said}");
    assert_eq!(std::fs::read_to_string(&state).unwrap(), "buy milk\n");
    let (status, said) = call(Path::new("/nonexistent/lab"), "list_vms");
    assert_eq!(status, 2, "{said}");
    // A file of one line without an end, which might be anything, is no empty state either.
    std::fs::write(&state, "buy milk").unwrap();
    let (status, said) = call(&state, "list_vms");
    assert_eq!(status, 2, "{said}");
    assert_eq!(std::fs::read_to_string(&state).unwrap(), "buy milk");
}
