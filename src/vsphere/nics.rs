//! Network cards: what a machine has, and every change of one.
//!
//! A card that is edited is sent back whole with what changes put over it, so that its key, place
//! on the bus and bandwidth settings stay. Surprising: a card on a distributed switch has a port of
//! its own there, which must not come along to another port group.

use crate::error::{Error, Kind, Result};
use crate::hv::call::Call;
use crate::hv::mac::Mac;
use crate::hv::model::Nic;
use crate::hv::nics::{NicModel, Nics};
use crate::hv::prepared::Prepared;
use crate::vim::value::Object;
use crate::vsphere::devices::{connectable, label, of_kind};
use crate::vsphere::hardware::Hardware;
use crate::vsphere::machines::reference;
use crate::vsphere::site::Site;
use crate::vsphere::{Vsphere, detail, devices, props};

const CARD: &str = "VirtualEthernetCard";
const MORE: &[&str] = &["network", "guest.net"];

/// Cards that a machine can have.
const MOST: usize = 10;

impl Nics for Vsphere {
    fn list(&self, call: &Call, wanted: &str, label: Option<&str>) -> Result<Vec<Nic>> {
        let hardware = Hardware::read(self, call, wanted, MORE)?;
        let names = detail::names(self, call, &hardware.row)?;
        let all = devices::nics(
            hardware.devices(),
            |card| detail::network_of(card, &names),
            |mac| detail::addresses(&hardware.row, mac),
        );
        let Some(label) = label else { return Ok(all) };
        let key = card(&hardware, label)?.int("key");
        Ok(all.into_iter().filter(|it| Some(it.key) == key).collect())
    }

    fn add<'a>(
        &'a self,
        call: &Call,
        wanted: &str,
        network: &str,
        model: NicModel,
        start_connected: bool,
    ) -> Result<Prepared<'a>> {
        let hardware = Hardware::read(self, call, wanted, &[])?;
        hardware.must_be_changeable()?;
        let name = &hardware.at.name;
        let keys: Vec<Option<i64>> =
            of_kind(hardware.devices(), CARD).map(|it| it.int("key")).collect();
        if keys.len() >= MOST {
            return Err(Error::new(
                Kind::Conflict,
                format!("`{name}` has {MOST} network cards, and a VM has no more"),
            )
            .hint("remove_nic makes room"));
        }
        let (network, backing) = self.network(call, &hardware, network)?;
        let (kind, word) = match model {
            NicModel::E1000 => ("VirtualE1000", "e1000"),
            NicModel::E1000e => ("VirtualE1000e", "e1000e"),
            NicModel::Vmxnet3 => ("VirtualVmxnet3", "vmxnet3"),
        };
        let connected = match (start_connected, hardware.is_on()) {
            (true, true) => "connected at once",
            (true, false) => "connected at power-on",
            (false, _) => "not connected",
        };
        let step = format!("`{name}` gets a {word} card on `{network}`, {connected}");
        let device = Object::new(kind)
            .with("key", -1)
            .with("backing", backing)
            .with("connectable", connectable(start_connected))
            .with("addressType", "generated");
        let at = hardware.at.clone();
        Ok(hardware.change(vec![step], vec![devices::add(device)]).then(move |call, done| {
            done?;
            // It is there; what it is called only the server knows.
            let paths = ["config.hardware.device"];
            let row = props::one(&self.session, call, &reference(&at), "VirtualMachine", &paths);
            let said = row.ok().and_then(|row| {
                let new = of_kind(row.items(paths[0]), CARD)
                    .find(|it| !keys.contains(&it.int("key")))
                    .map(|it| (label(it).to_owned(), address(it).to_owned()));
                new.map(|(label, mac)| format!("added {label} ({word}, {mac}) on `{network}`"))
            });
            Ok(vec![said.unwrap_or_else(|| format!("added a {word} card on `{network}`"))])
        }))
    }

    fn remove<'a>(&'a self, call: &Call, wanted: &str, label: &str) -> Result<Prepared<'a>> {
        let hardware = Hardware::read(self, call, wanted, MORE)?;
        hardware.must_be_changeable()?;
        let card = card(&hardware, label)?.clone();
        let names = detail::names(self, call, &hardware.row)?;
        let network = detail::network_of(&card, &names).unwrap_or_else(|| "no network".to_owned());
        let (name, what) = (&hardware.at.name, devices::label(&card));
        let step = format!("{what} of `{name}` on `{network}` is removed");
        let mut losses = vec![format!("the address {} of {what}", address(&card))];
        let now = card.flag("connectable.connected") == Some(true);
        if hardware.is_on() && now {
            losses.push(format!("the connection of `{name}` to `{network}`: it is running"));
        }
        Ok(hardware.change(vec![step], vec![devices::remove(card)]).losing(losses))
    }

    fn set_network<'a>(
        &'a self,
        call: &Call,
        wanted: &str,
        label: &str,
        network: &str,
    ) -> Result<Prepared<'a>> {
        let hardware = Hardware::read(self, call, wanted, MORE)?;
        hardware.must_be_changeable()?;
        let mut card = card(&hardware, label)?.clone();
        let (network, backing) = self.network(call, &hardware, network)?;
        let what = devices::label(&card).to_owned();
        if card.object("backing").is_some_and(|it| same(it, &backing)) {
            return Ok(Prepared::already(format!("{what} is already on `{network}`")));
        }
        let names = detail::names(self, call, &hardware.row)?;
        let old = detail::network_of(&card, &names).unwrap_or_else(|| "nothing".to_owned());
        let mut step = format!("{what} of `{}`: `{old}` -> `{network}`", hardware.at.name);
        if hardware.is_on() && card.flag("connectable.connected") != Some(true) {
            step.push_str("; it stays disconnected");
        }
        card.set("backing", backing);
        Ok(hardware.change(vec![step], vec![devices::edit(card)]))
    }

    fn connect<'a>(
        &'a self,
        call: &Call,
        wanted: &str,
        label: &str,
        connected: bool,
    ) -> Result<Prepared<'a>> {
        let hardware = Hardware::read(self, call, wanted, &[])?;
        hardware.must_be_changeable()?;
        let card = card(&hardware, label)?.clone();
        Ok(hardware.connect(&card, connected))
    }

    fn set_mac<'a>(
        &'a self,
        call: &Call,
        wanted: &str,
        label: &str,
        mac: Mac,
    ) -> Result<Prepared<'a>> {
        let hardware = Hardware::read(self, call, wanted, &[])?;
        hardware.must_be_changeable()?;
        let mut card = card(&hardware, label)?.clone();
        let (name, what) = (&hardware.at.name, devices::label(&card).to_owned());
        let text = mac.to_string();
        let has = |it: &Object| it.text("macAddress").is_some_and(|it| same_mac(it, mac));
        // One that was made up may be made up anew; only a manual one stays for sure.
        let manual = card.text("addressType").is_some_and(|it| it.eq_ignore_ascii_case("manual"));
        if has(&card) && manual {
            return Ok(Prepared::already(format!("{what} already has {text}")));
        }
        let other = of_kind(hardware.devices(), CARD)
            .find(|it| it.int("key") != card.int("key") && has(it));
        if let Some(other) = other {
            let said = format!("{} of `{name}` has {text}", devices::label(other));
            return Err(Error::new(Kind::Conflict, said)
                .hint("Two cards of one address do not work; choose another"));
        }
        hardware.must_be_off("get another MAC address")?;
        let mut steps = vec![match has(&card) {
            true => format!("{what} of `{name}` keeps {text} whatever happens: manual"),
            false => format!("{what} of `{name}`: {} -> {text}", address(&card)),
        }];
        steps.extend(outside(mac).map(str::to_owned));
        card.set("addressType", "manual");
        card.set("macAddress", text);
        Ok(hardware.change(steps, vec![devices::edit(card)]).then(move |_, done| {
            done.map(|mut done| {
                done.truncate(1);
                done
            })
            .map_err(|error| match outside(mac) {
                // Nearer than what is said of any device.
                Some(why) if error.fault_name() == Some("InvalidDeviceSpec") => {
                    let fault = "InvalidDeviceSpec";
                    Error::new(error.kind(), error.sentence()).fault(fault).hint(why)
                }
                _ => error,
            })
        }))
    }
}

impl Vsphere {
    /// The network that is meant and the backing for it, of those that the machine's host has.
    fn network(
        &self,
        call: &Call,
        hardware: &Hardware<'_>,
        wanted: &str,
    ) -> Result<(String, Object)> {
        let host = hardware.row.reference("runtime.host");
        let mut site = Site::near(self, call, host)?;
        if let Some(host) = host.filter(|_| site.has_other_hosts()) {
            // A cluster has the standard port groups of all its hosts. What cannot be read
            // narrows nothing.
            match props::one(&self.session, call, host, "HostSystem", &["network"]) {
                Ok(row) => site.narrow_networks(row.items("network")),
                Err(error) if matches!(error.kind(), Kind::Denied | Kind::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        site.network(Some(wanted), None)
    }
}

fn card<'h>(hardware: &'h Hardware<'_>, wanted: &'h str) -> Result<&'h Object> {
    hardware.device(CARD, "network card", wanted)
}

fn address(card: &Object) -> &str {
    card.text("macAddress").filter(|it| !it.is_empty()).unwrap_or("no address yet")
}

fn same_mac(text: &str, mac: Mac) -> bool {
    Mac::parse(text).is_ok_and(|it| it == mac)
}

/// Whether two backings lead to the same network, whatever the port there.
fn same(one: &Object, other: &Object) -> bool {
    let text = |path: &str| one.text(path).is_some() && one.text(path) == other.text(path);
    let network = |it: &Object| it.reference("network").map(|it| it.id.clone());
    if one.kind() != other.kind() {
        return false;
    }
    match network(one).zip(network(other)) {
        Some((one, other)) => one == other,
        None => ["port.portgroupKey", "opaqueNetworkId", "deviceName"].into_iter().any(text),
    }
}

/// What is to be said of an address that is none of those that VMware keeps for manual ones.
fn outside(mac: Mac) -> Option<&'static str> {
    match mac.bytes() {
        [0x00, 0x50, 0x56, 0x00..=0x3f, ..] => None,
        // Unverified: which of these hosts refuse when they are told, and which at power-on.
        [0x00, 0x50, 0x56, ..] | [0x00, 0x0c, 0x29, ..] | [0x00, 0x05, 0x69, ..] => Some(
            "VMware's own addresses beside 00:50:56:00:00:00 to 00:50:56:3f:ff:ff are given out \
             by hosts and vCenter, which may refuse this one now or at power-on",
        ),
        _ => Some(
            "It is not of VMware's range for manual addresses, 00:50:56:00:00:00 to \
             00:50:56:3f:ff:ff; hosts take it, but do not look whether others have it",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_beside_the_manual_range_are_pointed_out() {
        let said = |text: &str| outside(Mac::parse(text).unwrap()).unwrap_or("-").to_owned();
        assert_eq!(said("00:50:56:3f:ff:ff"), "-");
        assert!(said("00:50:56:40:00:00").contains("may refuse"));
        assert!(said("00:0c:29:00:00:01").contains("may refuse"));
        assert!(said("52:54:00:00:00:01").contains("not of VMware's range"));
    }

    #[test]
    fn a_backing_is_the_same_network_whatever_its_port() {
        let port = |key: &str, port: &str| {
            let port = Object::new("DistributedVirtualSwitchPortConnection")
                .with("switchUuid", "u")
                .with("portgroupKey", key)
                .with("portKey", port);
            Object::new("VirtualEthernetCardDistributedVirtualPortBackingInfo").with("port", port)
        };
        let plain = |name: &str| {
            Object::new("VirtualEthernetCardNetworkBackingInfo").with("deviceName", name)
        };
        assert!(same(&port("dvpg-1", "7"), &port("dvpg-1", "8")));
        assert!(!same(&port("dvpg-1", "7"), &port("dvpg-2", "7")));
        assert!(same(&plain("Lab"), &plain("Lab")) && !same(&plain("Lab"), &plain("DMZ")));
        assert!(!same(&plain("Lab"), &port("Lab", "7")));
    }
}
