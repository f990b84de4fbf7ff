//! What is in `packaging` for systemd: it is accepted, shut in, and names what there is.

use std::fs;
use std::path::Path;

use crate::rig::*;

fn packaged(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name);
    fs::read_to_string(path).unwrap()
}

#[test]
fn the_units_are_sound_and_the_daemon_is_shut_in() {
    let folder = Folder::new();
    let at = |name: &str| folder.0.join(name).to_str().unwrap().to_owned();
    for name in ["jumpvisor.service", "jumpvisor.socket", "sysusers.conf"] {
        // The program is not installed where this is tried.
        let text = packaged(name).replace("/usr/local/bin/jumpvisor", PROGRAM);
        fs::write(at(name), text).unwrap();
    }
    let (service, socket) = (at("jumpvisor.service"), at("jumpvisor.socket"));
    assert_eq!(run("systemd-analyze", &["verify", &service, &socket]), "");
    // Tenths of what it calls exposure; it is 1.7.
    run("systemd-analyze", &["security", "--offline=true", "--threshold=20", &service]);
    let users = run("systemd-sysusers", &["--dry-run", &at("sysusers.conf")]);
    assert!(users.contains("jumpvisor"), "{users}");
    // The names by which the daemon knows its own sockets, and what it needs to end well.
    let text = packaged("jumpvisor.service");
    for line in ["Type=notify", "ExecReload=/bin/kill -HUP $MAINPID", "RuntimeDirectory=jumpvisor"]
    {
        assert!(text.lines().any(|it| it == line), "{line}");
    }
}

#[test]
fn the_example_of_settings_holds_settings_and_no_secret() {
    let rig = Rig::start();
    let text = packaged("jumpvisor.env");
    let set = |it: &str| {
        let name = it.split('=').next().unwrap();
        it.contains('=') && name.bytes().all(|it| matches!(it, b'A'..=b'Z' | b'_' | b'0'..=b'9'))
    };
    let all = text.lines().map(|it| it.trim_start_matches('#')).filter(|it| set(it));
    let mut names = 0;
    let mut whole = String::new();
    for line in all {
        let (name, value) = line.split_once('=').unwrap();
        let secret = ["PASS", "PASSWORD", "SECRET"].iter().any(|it| name.ends_with(it));
        assert!(!secret, "{line}");
        names += 1;
        // Files are not there, and of two choices one holds.
        let there =
            !value.contains("/etc/") && !value.is_empty() && !whole.contains(&format!("{name}="));
        if there && !name.starts_with("VCENTER") && name != "ESXI_HOST_1" {
            whole.push_str(&format!("{line}\n"));
        }
    }
    assert!(names > 30, "{names}");
    let whole = whole.replace("esx1.example.com\nESXI_USER", "127.0.0.1:1\nESXI_USER");
    fs::write(rig.path("env"), whole + "ESXI_PASS=x\nCONNECT_TIMEOUT=1\n").unwrap();
    let mut command = rig.command(PROGRAM);
    for name in ["ESXI_HOST", "ESXI_USER", "ESXI_PASS", "ESXI_NAME"] {
        command.env_remove(name);
    }
    command.args(["--config", &rig.path("env"), "check"]);
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(said.contains("SERIAL_ADVERTISE") && said.contains("METRICS"), "{said}");
    for wrong in ["unknown", "problem", "did you mean"] {
        assert!(!said.contains(wrong), "{wrong}: {said}");
    }
}
