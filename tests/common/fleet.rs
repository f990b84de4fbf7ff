//! A pretend hypervisor behind the `hv` traits, whose machines misbehave by name.
//!
//! `slow` works until it is released or cancelled, `stuck` heeds no cancelling, `boom` has a
//! defect, `db` is refused. It counts every request that would reach a real host.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use jumpvisor::audit::{Audit, Sink};
use jumpvisor::error::{Error, Kind, Result};
use jumpvisor::hv::Host;
use jumpvisor::hv::appliances::Appliances;
use jumpvisor::hv::call::Call;
use jumpvisor::hv::fleet::{Fleet, Server};
use jumpvisor::hv::lifecycle::Lifecycle;
use jumpvisor::hv::machines::{Depth, Machines, Unknown};
use jumpvisor::hv::model::{About, Check, Machine, MachineDetail, MachineRef, PowerState, Status};
use jumpvisor::hv::places::{Place, PlaceKind, Places};
use jumpvisor::hv::power::{Power, Switched, Verb};
use jumpvisor::hv::serials::{Home, Port, Serials};
use jumpvisor::hv::snapshots::Snapshots;
use jumpvisor::metrics::Metrics;
use jumpvisor::tools::offer::Offer;
use jumpvisor::tools::run::Gate;

const NAMES: [&str; 5] = ["web", "db", "slow", "stuck", "boom"];

/// What tests see and steer of the pretend host.
#[derive(Default)]
pub struct Stage {
    released: Mutex<bool>,
    changed: Condvar,
    /// Requests that would have reached a host.
    pub asked: AtomicUsize,
    /// Switches that are being flipped now.
    pub busy: AtomicUsize,
    pub cancelled: AtomicUsize,
    /// Serial ports of its machines; none unless a test adds them.
    pub ports: Mutex<Vec<Port>>,
}

impl Stage {
    /// Lets `slow` and `stuck` go on.
    pub fn release(&self) {
        *self.released.lock().unwrap() = true;
        self.changed.notify_all();
    }

    /// The next of them wait again.
    #[allow(dead_code, reason = "shared")]
    pub fn again(&self) {
        *self.released.lock().unwrap() = false;
    }

    fn released(&self) -> bool {
        let released = self.released.lock().unwrap();
        *self.changed.wait_timeout(released, Duration::from_millis(5)).unwrap().0
    }
}

struct Fake(Arc<Stage>, Option<Box<dyn Appliances>>);

/// A gate to one pretend server called `lab`.
pub fn gate(offer: Offer) -> (Arc<Gate>, Arc<Stage>) {
    gate_with(offer, None)
}

/// The same with appliances.
pub fn gate_with(offer: Offer, appliances: Option<Box<dyn Appliances>>) -> (Arc<Gate>, Arc<Stage>) {
    let stage = Arc::new(Stage::default());
    let host = Box::new(Fake(stage.clone(), appliances));
    let gate = Gate {
        files: jumpvisor::files::Files::anywhere(),
        fleet: Fleet::new(vec![Server { name: "lab".to_owned(), host }]),
        offer,
        audit: Audit::new(Sink::Nowhere, false),
        metrics: Arc::new(Metrics::new()),
        consoles: jumpvisor::serial::hub::Hub::default(),
        approval: jumpvisor::tools::approval::Approval::off(),
        call_timeout: Duration::from_secs(30),
        cap: 60_000,
    };
    (Arc::new(gate), stage)
}

/// Two servers on one stage, `lab` and `far`; the first is meant where none is named.
#[allow(dead_code, reason = "shared")]
pub fn second(gate: &mut Gate, stage: &Arc<Stage>) {
    let server = |name: &str| {
        let host = Box::new(Fake(stage.clone(), None));
        Server { name: name.to_owned(), host }
    };
    gate.fleet = Fleet::new(vec![server("lab"), server("far")]);
}

fn machine(name: &str) -> Machine {
    Machine {
        at: MachineRef {
            id: format!("id-{name}"),
            name: name.to_owned(),
            path: format!("/dc/vm/{name}"),
        },
        power: PowerState::Off,
        native_state: "poweredOff".to_owned(),
        trouble: None,
        cpus: Some(2),
        memory_mb: Some(1024),
        guest_os: None,
        ip_addresses: Vec::new(),
        template: false,
        agent: None,
        cpu_usage_mhz: None,
        memory_usage_mb: None,
        storage_used_bytes: None,
        question: None,
    }
}

impl Machines for Fake {
    fn list(&self, _: &Call, _: Depth) -> Result<Vec<Machine>> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        Ok(NAMES.iter().map(|name| machine(name)).collect())
    }

    fn find(&self, _: &Call, wanted: &str) -> Result<Machine> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let found = NAMES.iter().find(|name| **name == wanted);
        found.map(|name| machine(name)).ok_or_else(|| {
            let said = format!("no VM `{}`", jumpvisor::error::quoted(wanted));
            Error::new(Kind::NotFound, said).hint("Call list_vms to see what there is")
        })
    }

    fn find_all(&self, call: &Call, wanted: &[String]) -> Result<(Vec<Machine>, Unknown)> {
        let (mut machines, mut unknown) = (Vec::new(), Vec::new());
        for name in wanted {
            match self.find(call, name) {
                Ok(machine) => machines.push(machine),
                Err(error) => unknown.push((name.clone(), error)),
            }
        }
        Ok((machines, unknown))
    }

    fn detail(&self, call: &Call, wanted: &str) -> Result<MachineDetail> {
        self.find(call, wanted)?;
        if wanted == "stuck" {
            self.0.busy.fetch_add(1, Ordering::SeqCst);
            while !self.0.released() {}
            self.0.busy.fetch_sub(1, Ordering::SeqCst);
        }
        Err(Error::new(Kind::Network, "the host is away"))
    }
}

impl Places for Fake {
    fn list(&self, _: &Call, kind: PlaceKind) -> Result<Vec<Place>> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        match kind {
            PlaceKind::Network => Err(Error::new(Kind::Network, "the host is away")),
            PlaceKind::Cluster => panic!("a defect, on purpose"),
            _ => Ok(Vec::new()),
        }
    }
}

impl Power for Fake {
    fn switch(&self, call: &Call, machine: &MachineRef, _: Verb) -> Result<Switched> {
        let stage = &self.0;
        stage.busy.fetch_add(1, Ordering::SeqCst);
        match machine.name.as_str() {
            "boom" => panic!("a defect, on purpose"),
            "db" => return Err(Error::new(Kind::Remote, "the host refused").fault("InvalidState")),
            "slow" | "stuck" => {
                let mut percent = 0.0;
                while !stage.released() {
                    call.progress(percent, "working");
                    percent += 0.5;
                    if machine.name == "slow" && call.check().is_err() {
                        stage.cancelled.fetch_add(1, Ordering::SeqCst);
                        break;
                    }
                }
            }
            _ => {}
        }
        stage.busy.fetch_sub(1, Ordering::SeqCst);
        call.check().map(|()| Switched::Done)
    }
}

impl Serials for Fake {
    fn ports(&self, _: &Call, machine: Option<&str>) -> Result<Vec<Port>> {
        let fits = |it: &&Port| machine.is_none_or(|name| it.machine.name == name);
        Ok(self.0.ports.lock().unwrap().iter().filter(fits).cloned().collect())
    }

    fn hosts(&self, _: &Call) -> Result<Vec<Home>> {
        Ok(Vec::new())
    }
}

impl Host for Fake {
    fn serials(&self) -> Option<&dyn Serials> {
        let some = !self.0.ports.lock().unwrap().is_empty();
        some.then_some(self)
    }

    fn status(&self) -> Status {
        Status {
            kind: "esxi".to_owned(),
            address: "lab.test".to_owned(),
            user: "root".to_owned(),
            connected: false,
            version: None,
            trouble: None,
            requests: 0,
            logins: 0,
            bytes_received: 0,
            bytes_sent: 0,
            leases: 0,
        }
    }

    fn about(&self, _: &Call) -> Result<About> {
        Err(Error::new(Kind::Network, "the host is away"))
    }

    fn check(&self, _: &Call) -> Vec<Check> {
        Vec::new()
    }

    fn machines(&self) -> &dyn Machines {
        self
    }

    fn places(&self) -> &dyn Places {
        self
    }

    fn power(&self) -> Option<&dyn Power> {
        Some(self)
    }

    fn snapshots(&self) -> Option<&dyn Snapshots> {
        None
    }

    fn lifecycle(&self) -> Option<&dyn Lifecycle> {
        None
    }

    fn disks(&self) -> Option<&dyn jumpvisor::hv::disks::Disks> {
        None
    }

    fn nics(&self) -> Option<&dyn jumpvisor::hv::nics::Nics> {
        None
    }

    fn guest(&self) -> Option<&dyn jumpvisor::hv::guest::Guest> {
        None
    }

    fn console(&self) -> Option<&dyn jumpvisor::hv::console::Console> {
        None
    }

    fn appliances(&self) -> Option<&dyn Appliances> {
        self.1.as_deref()
    }

    fn stores(&self) -> Option<&dyn jumpvisor::hv::stores::Stores> {
        None
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }

    fn close(&self) {}
}
