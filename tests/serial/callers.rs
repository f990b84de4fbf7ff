//! Which machine dials in, from where one may, and how a host's certificate is checked: a vCenter
//! with two hosts and a lone ESXi, pretended behind the traits.

use std::io::{Read as _, Write as _};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use jumpvisor::app::consoles::Consoles;
use jumpvisor::audit::{Audit, Sink};
use jumpvisor::config::{Environment, Flags, load};
use jumpvisor::error::{Error, Result};
use jumpvisor::files::Files;
use jumpvisor::hv::call::{Call, Rights};
use jumpvisor::hv::fleet::{Fleet, Server};
use jumpvisor::hv::model::MachineRef;
use jumpvisor::hv::serials::{Home, Port, Serials, Way};
use jumpvisor::metrics::Metrics;
use jumpvisor::serial::hub::{Caller, Hub, Outside, Settings};
use jumpvisor::serial::proxy::Identity;
use jumpvisor::tools::offer::Offer;
use jumpvisor::tools::run::Gate;

use crate::only_ports::OnlyPorts;
use crate::rig::{accept, listener, tls_of};

#[derive(Default)]
struct Rack {
    ports: Mutex<Vec<Port>>,
    homes: Mutex<Option<Vec<Home>>>,
    asked: AtomicUsize,
}

struct Shown(Arc<Rack>);

impl Serials for Shown {
    fn hosts(&self, _: &Call) -> Result<Vec<Home>> {
        self.0.homes.lock().unwrap().clone().ok_or_else(|| Error::bug("it does not answer"))
    }

    fn ports(&self, _: &Call, _: Option<&str>) -> Result<Vec<Port>> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        Ok(self.0.ports.lock().unwrap().clone())
    }
}

/// The vCenter's address, which is its name.
const VC: &str = "192.0.2.10";

const ONE: &str = "00000000000000000000000000000001";
const TWO: &str = "00000000000000000000000000000002";

/// A port that dials a concentrator: of which machine, its UUIDs, and what it says.
fn port(id: &str, name: &str, uuids: &[&str], label: &str, word: &str) -> Port {
    Port {
        machine: MachineRef { id: id.to_owned(), name: name.to_owned(), path: String::new() },
        uuids: uuids.iter().map(|it| (*it).to_owned()).collect(),
        label: label.to_owned(),
        network: true,
        way: Way::Concentrator { proxy: "telnet://here:1".to_owned(), word: word.to_owned() },
        address: String::new(),
        closed: false,
        trouble: None,
        powered: true,
    }
}

fn home(addresses: &[&str], certificate: Option<String>) -> Home {
    Home { addresses: addresses.iter().map(|it| (*it).to_owned()).collect(), certificate }
}

/// The first server is the vCenter, the second the ESXi.
struct World {
    _gate: Arc<Gate>,
    consoles: Arc<Consoles>,
    racks: [Arc<Rack>; 2],
}

fn world() -> World {
    let settings = [
        ("VCENTER_HOST", VC),
        ("VCENTER_USER", "u"),
        ("VCENTER_PASSWORD", "p"),
        ("VCENTER_INSECURE", "true"),
        ("ESXI_HOST", "192.0.2.20"),
        ("ESXI_NAME", "esx"),
        ("ESXI_USER", "u"),
        ("ESXI_PASS", "p"),
        ("ESXI_INSECURE", "true"),
    ];
    let variables = settings.map(|(name, value)| (name.into(), value.into()));
    let environment = Environment::new(variables, "/nowhere", "/nowhere/env", None);
    let config = load(&Flags::default(), &environment).unwrap();
    let racks = [Arc::new(Rack::default()), Arc::new(Rack::default())];
    let servers = || -> Vec<Server> {
        let named = [VC, "esx"].into_iter().zip(&racks);
        let server = |(name, rack): (&str, &Arc<Rack>)| Server {
            name: name.to_owned(),
            host: Box::new(OnlyPorts(Shown(Arc::clone(rack)))),
        };
        named.map(server).collect()
    };
    let consoles = Arc::new(Consoles::new(&servers(), &config));
    let gate = Arc::new(Gate {
        files: Files::anywhere(),
        fleet: Fleet::new(servers()),
        offer: Offer::everything(),
        audit: Audit::new(Sink::Nowhere, false),
        metrics: Arc::new(Metrics::new()),
        consoles: Hub::with(Settings::default(), consoles.clone()),
        approval: jumpvisor::tools::approval::Approval::off(),
        call_timeout: std::time::Duration::from_secs(30),
        cap: 60_000,
    });
    consoles.behind(&gate);
    World { _gate: gate, consoles, racks }
}

fn call() -> Call {
    Call::new(Rights::ReadOnly)
}

impl World {
    fn may(&self, from: &str) -> bool {
        self.consoles.may_dial_in(from.parse().unwrap())
    }

    /// `server machine port` of who says this from there.
    fn whose(&self, from: &str, vc: &str, bios: &str, name: &str, uri: &str) -> String {
        let some = |it: &str| (!it.is_empty()).then(|| it.to_owned());
        let identity = Identity {
            vc_uuid: some(vc),
            bios_uuid: some(bios),
            name: some(name),
            location_uuid: None,
        };
        let from: IpAddr = from.parse().unwrap();
        let found = self.consoles.whose(&Caller { identity, uri: uri.to_owned(), from }).unwrap();
        let place = found.map(|it| it.place);
        place.map_or("nobody".to_owned(), |it| {
            let server = if it.server == VC { "vc" } else { &it.server };
            format!("{server} {} {}", it.machine, it.port)
        })
    }
}

#[test]
fn hosts_of_a_vcenter_may_dial_in_and_nobody_else() {
    let world = world();
    // Addresses of the configuration count before anybody was asked.
    assert!(world.may("192.0.2.10") && world.may("192.0.2.20") && world.may("::ffff:192.0.2.20"));
    assert!(!world.may("192.0.2.11") && !world.may("127.0.0.1"));
    *world.racks[0].homes.lock().unwrap() = Some(vec![
        // Of a host that says its addresses the name is not looked up.
        home(&["localhost", "192.0.2.11", "2001:db8::11"], None),
        home(&["192.0.2.12"], None),
    ]);
    world.consoles.hosts(0, &call()).unwrap();
    for from in ["192.0.2.10", "192.0.2.11", "2001:db8::11", "192.0.2.12", "::ffff:192.0.2.12"] {
        assert!(world.may(from), "{from}");
    }
    assert!(!world.may("127.0.0.1") && !world.may("::1") && !world.may("2001:db8::12"));
    // One that was taken out of the inventory may no more; one that does not answer changes nothing.
    *world.racks[0].homes.lock().unwrap() = None;
    assert!(world.consoles.hosts(0, &call()).is_err());
    assert!(world.may("192.0.2.12"));
    *world.racks[0].homes.lock().unwrap() = Some(vec![home(&["192.0.2.11"], None)]);
    world.consoles.hosts(0, &call()).unwrap();
    assert!(world.may("192.0.2.11") && !world.may("192.0.2.12"));
    // A name that is all that is known is looked up.
    *world.racks[0].homes.lock().unwrap() = Some(vec![home(&["localhost"], None)]);
    world.consoles.hosts(0, &call()).unwrap();
    assert!(world.may("127.0.0.1"));
}

#[test]
fn who_a_caller_is() {
    let world = world();
    *world.racks[0].ports.lock().unwrap() = vec![
        port("vm-1", "a", &[ONE, "b1"], "Serial port 1", "jumpvisor"),
        port("vm-1", "a", &[ONE, "b1"], "Serial port 2", "jumpvisor?port=2"),
        // A clone by hand: the same BIOS.
        port("vm-2", "b", &[TWO, "b1"], "Serial port 1", "jumpvisor"),
        Port { way: Way::Nowhere(String::new()), ..port("vm-3", "c", &["c"], "Serial port 1", "") },
    ];
    *world.racks[1].ports.lock().unwrap() =
        vec![port("7", "a", &["e1"], "Serial port 1", "jumpvisor")];
    world.consoles.ports(0, &call()).unwrap();
    world.consoles.ports(1, &call()).unwrap();
    let (vc, esx) = (VC, "192.0.2.20");
    assert_eq!(world.whose(vc, ONE, "b1", "a", "jumpvisor"), "vc vm-1 Serial port 1");
    assert_eq!(world.whose(vc, ONE, "b1", "a", "jumpvisor?port=2"), "vc vm-1 Serial port 2");
    assert_eq!(world.whose(vc, TWO, "b1", "b", "jumpvisor"), "vc vm-2 Serial port 1");
    // Two of one BIOS: the name decides, and without any the first.
    assert_eq!(world.whose(vc, "", "b1", "b", "jumpvisor"), "vc vm-2 Serial port 1");
    assert_eq!(world.whose(vc, "", "b1", "", "jumpvisor"), "vc vm-1 Serial port 1");
    // What the vCenter's id says holds against name and word.
    assert_eq!(world.whose(vc, TWO, "", "a", "jumpvisor?port=2"), "vc vm-2 Serial port 1");
    // A host speaks for its own machines only, and nobody by a name alone.
    assert_eq!(world.whose(esx, ONE, "b1", "a", "jumpvisor"), "nobody");
    assert_eq!(world.whose(esx, "", "e1", "a", "jumpvisor"), "esx 7 Serial port 1");
    assert_eq!(world.whose(vc, "", "e1", "a", "jumpvisor"), "nobody");
    assert_eq!(world.whose("192.0.2.99", ONE, "b1", "a", "jumpvisor"), "nobody");
    // A port that leads elsewhere is not anybody's.
    assert_eq!(world.whose(esx, "", "", "a", "jumpvisor"), "nobody");
    assert_eq!(world.whose(vc, "c", "c", "c", ""), "nobody");
}

#[test]
fn somebody_new_is_asked_for_and_strangers_once_in_a_while() {
    let world = world();
    let rack = &world.racks[1];
    rack.ports.lock().unwrap().push(port("7", "new", &[ONE], "Serial port 1", "x"));
    assert_eq!(world.whose("192.0.2.20", "", ONE, "new", "x"), "esx 7 Serial port 1");
    assert_eq!(rack.asked.load(Ordering::SeqCst), 1);
    // Eight at once cost no more than one look between them, and the vCenter none.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(world.whose("192.0.2.20", "", TWO, "", "x"), "nobody"));
        }
    });
    assert!(rack.asked.load(Ordering::SeqCst) <= 3, "{:?}", rack.asked);
    assert_eq!(world.racks[0].asked.load(Ordering::SeqCst), 0);
}

#[test]
fn certificates_of_hosts_are_those_that_the_vcenter_vouches_for() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let digest = ring::digest::digest(&ring::digest::SHA256, made.cert.der());
    let hex: String = digest.as_ref().iter().map(|it| format!("{it:02X}:")).collect();
    let config = tls_of(&made);
    let (listener, address) = listener();
    let agrees = |server: &str, homes: Option<Vec<Home>>| {
        let world = world();
        *world.racks[0].homes.lock().unwrap() = homes;
        let client = world.consoles.client_tls(server, "127.0.0.1").unwrap();
        let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
        let mut client = rustls::ClientConnection::new(client, name).unwrap();
        let config = Arc::clone(&config);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut tcp = accept(&listener);
                let mut tls = rustls::ServerConnection::new(config).unwrap();
                let _ = rustls::Stream::new(&mut tls, &mut tcp).write_all(b"x");
            });
            let mut tcp = std::net::TcpStream::connect(address).unwrap();
            let mut byte = [0];
            rustls::Stream::new(&mut client, &mut tcp).read_exact(&mut byte).is_ok()
        })
    };
    let trimmed = hex.trim_end_matches(':').to_owned();
    assert!(agrees(VC, Some(vec![home(&["esx9", "127.0.0.1"], Some(trimmed.clone()))])));
    // Another's, and a certificate of nobody's: that the vCenter's own is not looked at counts for
    // itself alone.
    assert!(!agrees(VC, Some(vec![home(&["127.0.0.1"], Some("00:".repeat(31) + "00"))])));
    assert!(!agrees(VC, Some(vec![home(&["127.0.0.2"], Some(trimmed))])));
    assert!(!agrees(VC, Some(vec![home(&["127.0.0.1"], None)])));
    // A lone host is the configured server itself.
    assert!(agrees("esx", Some(Vec::new())));
    let nobody = world();
    assert!(nobody.consoles.client_tls(VC, "127.0.0.1").is_err(), "it does not answer");
    assert!(nobody.consoles.client_tls("other", "127.0.0.1").is_err());
}
