//! The program that `tests/bench/consoles` measures: a hub and nothing else.

use std::io::Read as _;

use jumpvisor::serial::hub::{Hub, Settings};

use crate::rig::{about, way};

/// Dials the ports of CONSOLES (`2001,2002`) on loopback, with sockets in SOCKETS, until its input
/// ends; then prints what came from each.
#[test]
#[ignore = "for tests/bench/consoles"]
fn hub_of_the_benchmark() {
    let (Ok(ports), Ok(folder)) = (std::env::var("CONSOLES"), std::env::var("SOCKETS")) else {
        return;
    };
    let sockets = Some(folder.into());
    let hub = Hub::new(Settings { ring_bytes: 256 << 10, sockets, ..Settings::default() });
    for port in ports.split(',') {
        let address = format!("127.0.0.1:{port}").parse().unwrap();
        let console = hub.open(&about(port), way(address, false)).unwrap();
        println!("socket {port} {}", console.status().socket.unwrap().display());
    }
    println!("ready");
    let _ = std::io::stdin().read(&mut [0]);
    for it in hub.all() {
        println!("came {} {} {}", it.about.place.machine, it.bytes_in, it.bytes_out);
    }
}
