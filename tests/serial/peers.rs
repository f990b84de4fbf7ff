//! QEMU's real serial servers, telnet and raw, with the firmware that prints on them.
//!
//! QEMU_SYSTEM says where it is, unless it is the one that tests/peers/install has unpacked or the
//! system's; QEMU_FIRMWARE where its firmware is.

use std::process::{Command, Stdio};

use jumpvisor::serial::text;

use crate::rig::{about, hub, listener, soon, way};

#[test]
fn firmware_on_real_serial_servers() {
    let peers = std::env::var("JUMPVISOR_PEERS").unwrap_or("tests/peers/.build".to_owned());
    let unpacked = format!("{peers}/qemu-system-x86_64");
    let there = std::path::Path::new(&unpacked).exists();
    let other = if there { unpacked } else { "qemu-system-x86_64".to_owned() };
    let qemu = std::env::var("QEMU_SYSTEM").unwrap_or(other);
    for kind in ["telnet", "tcp"] {
        let (free, address) = listener();
        drop(free);
        let mut command = Command::new(&qemu);
        command.args(["-nodefaults", "-display", "none", "-monitor", "none", "-m", "16"]);
        command.args(["-machine", "pc,graphics=off", "-serial"]);
        command.arg(format!("{kind}:{address},server=on,wait=on"));
        if let Ok(firmware) = std::env::var("QEMU_FIRMWARE") {
            command.args(["-L", &firmware]);
        }
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = match quiet.spawn() {
            Ok(child) => child,
            Err(error) => panic!("{qemu}: {error}; run tests/peers/install"),
        };
        let hub = hub();
        let console = hub.open(&about("7"), way(address, kind == "telnet")).unwrap();
        let shown = || text::clean(&console.screen(100), 0).0;
        let booted = std::panic::AssertUnwindSafe(|| {
            soon("it boots", || shown().contains("No bootable device"));
        });
        let outcome = std::panic::catch_unwind(booted);
        let _ = child.kill();
        let _ = child.wait();
        assert!(outcome.is_ok() && shown().starts_with("SeaBIOS (version "), "{}", shown());
    }
}
