//! VMware vSphere: ESXi hosts and vCenter, spoken to by SOAP and nothing else.
//!
//! The lower half is the protocol: `encode` and `decode` by the schema, `wire`, `open`, `session`,
//! `props`, `task`. The upper half has one file per family of `hv`. No type of this folder appears
//! in `hv` or in tools that span hypervisors. Surprising: simulators accept requests that a real
//! host refuses (wrong order, newer fields), so order and version are right by construction.

pub mod alarms;
pub mod appliances;
pub mod boot;
pub mod browse;
pub mod check;
pub mod clone;
pub mod collector;
pub mod console;
pub mod copy;
pub mod copy_spec;
pub mod counters;
pub mod create;
pub mod decode;
pub mod descriptor;
pub mod detail;
pub mod devices;
pub mod disks;
pub mod door;
pub mod drives;
pub mod encode;
pub mod events;
pub mod export;
pub mod facts;
pub mod faults;
pub mod folders;
pub mod generic;
pub mod guest;
pub mod guest_ops;
pub mod guest_run;
pub mod hardware;
pub mod host_clock;
pub mod host_facts;
mod host_fields;
pub mod host_firewall;
pub mod host_services;
pub mod hosts;
pub mod import;
mod import_after;
mod import_place;
mod import_pull;
mod import_send;
mod import_spec;
pub mod inventory;
pub mod iso;
pub mod keyboard;
pub mod lease;
pub mod lease_door;
pub mod lifecycle;
pub mod live;
pub mod machines;
pub mod maintenance;
pub mod near;
pub mod nics;
pub mod open;
mod ovf_env;
pub mod places;
pub mod pools;
pub mod power;
pub mod props;
mod quick;
pub mod reads;
pub mod reconfigure;
pub mod register;
pub mod relocate;
pub mod rest;
mod scalar;
pub mod screen;
pub mod serial;
pub mod serial_draft;
pub mod serial_host;
pub mod serial_line;
pub mod serials;
pub mod session;
pub mod site;
pub mod slots;
pub mod snapshots;
pub mod store_change;
pub mod store_files;
pub mod store_move;
pub mod store_path;
pub mod stores;
pub mod tags;
pub mod task;
pub mod tasks_list;
pub mod template;
pub mod transfer;
pub mod tree;
mod vmdk_head;
pub mod wire;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::error::{Error, Kind, Result};
use crate::hv::Host;
use crate::hv::appliances::Appliances;
use crate::hv::call::Call;
use crate::hv::console::Console;
use crate::hv::disks::Disks;
use crate::hv::guest::Guest;
use crate::hv::lifecycle::Lifecycle;
use crate::hv::machines::Machines;
use crate::hv::model::{About, Check, Status};
use crate::hv::nics::Nics;
use crate::hv::places::Places;
use crate::hv::power::Power;
use crate::hv::serials::Serials;
use crate::hv::snapshots::Snapshots;
use crate::hv::stores::Stores;
use crate::vsphere::session::Session;
use crate::web::exchange::Exchange;
use crate::web::tls::Trust;

/// What tools use when a call names no place; `None` is found on the server.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    pub datacenter: Option<String>,
    pub cluster: Option<String>,
    pub datastore: Option<String>,
    pub network: Option<String>,
}

/// Where a server is, for messages and for `check`.
#[derive(Clone, Debug)]
pub struct Address {
    /// Host and port as a person writes them.
    pub shown: String,
    pub host: String,
    pub port: u16,
    /// A proxy resolves the name, so we cannot.
    pub proxied: bool,
    /// `esxi` or `vcenter`, as configured; the server itself knows better once asked.
    pub kind: &'static str,
}

/// A host that the server names, such as the ESXi behind a vCenter that holds a guest's files.
pub struct Elsewhere {
    pub host: String,
    pub port: u16,
    /// By the certificate that the server vouches for, where it does.
    pub trust: Trust,
}

/// How such a host is reached; nothing is connected by asking.
pub type Reach = Box<dyn Fn(&Elsewhere) -> Result<Box<dyn Exchange>> + Send + Sync>;

/// For a server that names no other host.
pub fn nowhere() -> Reach {
    Box::new(|it| {
        let said = format!("there is no way from here to the host `{}`", it.host);
        Err(Error::new(Kind::Network, said))
    })
}

type Seen = Box<dyn Fn() -> Option<[u8; 32]> + Send + Sync>;

/// One ESXi host or vCenter.
pub struct Vsphere {
    pub session: Arc<Session>,
    pub defaults: Defaults,
    address: Address,
    /// SHA-256 of the certificate that the server showed.
    seen: Seen,
    pub(crate) reach: Reach,
    /// Where serial ports are dialled instead of at their hosts.
    pub(crate) lines: Option<&'static str>,
}

impl Vsphere {
    /// A server that is not connected yet.
    pub fn new(
        session: Arc<Session>,
        defaults: Defaults,
        address: Address,
        seen: Seen,
        reach: Reach,
    ) -> Vsphere {
        Vsphere { session, defaults, address, seen, reach, lines: None }
    }

    /// The same, for simulated hosts without addresses of their own: their serial ports are here.
    pub fn with_lines_at(self, here: &'static str) -> Vsphere {
        Vsphere { lines: Some(here), ..self }
    }
}

impl Host for Vsphere {
    fn status(&self) -> Status {
        let (shown, counts) = (self.session.shown(), &self.session.wire.counts);
        let kind = match shown.vcenter {
            Some(true) => "vcenter",
            Some(false) => "esxi",
            None => self.address.kind,
        };
        Status {
            kind: kind.to_owned(),
            address: self.address.shown.clone(),
            user: self.session.user().to_owned(),
            connected: shown.live.is_some(),
            version: shown.product,
            trouble: shown.trouble,
            requests: counts.requests.load(Ordering::Relaxed),
            logins: counts.logins.load(Ordering::Relaxed),
            bytes_received: counts.received.load(Ordering::Relaxed),
            bytes_sent: counts.sent.load(Ordering::Relaxed),
            leases: counts.leases.load(Ordering::Relaxed),
        }
    }

    fn about(&self, call: &Call) -> Result<About> {
        let live = self.session.live(call)?;
        let kind = if live.is_vcenter() { "vcenter" } else { "esxi" };
        Ok(About {
            kind: kind.to_owned(),
            product: live.product(),
            version: live.content.text("about.version").unwrap_or_default().to_owned(),
            read_only: check::free_licence(self, call, &live),
        })
    }

    fn check(&self, call: &Call) -> Vec<Check> {
        check::run(self, call)
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
        Some(self)
    }

    fn lifecycle(&self) -> Option<&dyn Lifecycle> {
        Some(self)
    }

    fn disks(&self) -> Option<&dyn Disks> {
        Some(self)
    }

    fn nics(&self) -> Option<&dyn Nics> {
        Some(self)
    }

    fn guest(&self) -> Option<&dyn Guest> {
        Some(self)
    }

    fn console(&self) -> Option<&dyn Console> {
        Some(self)
    }

    fn stores(&self) -> Option<&dyn Stores> {
        Some(self)
    }

    fn serials(&self) -> Option<&dyn Serials> {
        Some(self)
    }

    fn appliances(&self) -> Option<&dyn Appliances> {
        Some(self)
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }

    fn close(&self) {
        self.session.close();
    }
}
