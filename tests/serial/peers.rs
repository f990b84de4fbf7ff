//! QEMU's real serial servers, telnet and raw, with the firmware that prints on them.
//!
//! QEMU_SYSTEM says where it is, QEMU_FIRMWARE where its firmware is.

use std::process::{Command, Stdio};

use jumpvisor::serial::text;

use crate::rig::{about, hub, listener, soon, way};

#[test]
fn firmware_on_real_serial_servers() {
    let qemu = std::env::var("QEMU_SYSTEM").unwrap_or("qemu-system-x86_64".to_owned());
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
            Err(error) => return println!("skipped: {qemu}: {error}"),
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
