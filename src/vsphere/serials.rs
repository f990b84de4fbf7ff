//! Serial ports as they are dialled: machines and their hosts in one query.
//!
//! Surprising: on a vCenter a host may say no address of its own, and then its name has to do; a
//! rule set that is closed need not stop anything, since the firewall may be off as a whole.

use std::collections::HashMap;

use crate::error::Result;
use crate::hv::call::Call;
use crate::hv::model::{MachineRef, PowerState};
use crate::hv::serials::{Home, Port, Serials, Way};
use crate::text::order;
use crate::text::uuid;
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::devices::{label, of_kind};
use crate::vsphere::door::certificate;
use crate::vsphere::machines::{power, reference};
use crate::vsphere::props::{Row, Select};
use crate::vsphere::serial_host::{SEEN, Station};
use crate::vsphere::serial_line::{Line, PORT, diagnosis, shown};
use crate::vsphere::tree::{Tree, unescaped};
use crate::vsphere::{Vsphere, props, tree};
use crate::web::tls::{Trust, fingerprint_text};

const KINDS: &[&str] = &["VirtualMachine", "HostSystem", "Folder", "Datacenter"];

const MACHINE: &[&str] = &[
    "name",
    "parent",
    "runtime.powerState",
    "runtime.host",
    "summary.config.uuid",
    "summary.config.instanceUuid",
    "config.hardware.device",
];

const HOME: &[&str] =
    &["name", "config.network.vnic", "config.certificate", "summary.config.sslThumbprint"];

/// A machine with its ports only: of thousands nothing else is kept.
struct Found {
    at: MachineRef,
    parent: Option<Ref>,
    host: Option<Ref>,
    uuids: Vec<String>,
    powered: bool,
    devices: Vec<Object>,
}

impl Serials for Vsphere {
    fn ports(&self, call: &Call, machine: Option<&str>) -> Result<Vec<Port>> {
        let (mut places, mut found, mut hosts) = (Tree::default(), Vec::new(), Vec::new());
        if let Some(wanted) = machine {
            let at = self.locate(call, wanted)?;
            let row = props::one(&self.session, call, &reference(&at), "VirtualMachine", MACHINE)?;
            let it = Found { at, ..Found::of(&row) };
            let host = it.host.as_ref().filter(|_| !it.devices.is_empty());
            if let Some(station) = host.map(|it| Station::read(self, call, it)).transpose()? {
                hosts.extend(station.map(|station| (it.host.clone(), station)));
            }
            found.push(it);
        } else {
            let mut selects = vec![
                Select { kind: "VirtualMachine", paths: MACHINE },
                Select { kind: "HostSystem", paths: SEEN },
            ];
            selects.extend(tree::PLACES);
            let mut rows = Vec::new();
            props::all(&self.session, call, KINDS, &selects, |row| match &*row.at.kind {
                "VirtualMachine" => {
                    let it = Found::of(&row);
                    found.extend((!it.devices.is_empty()).then_some(it));
                }
                "HostSystem" => rows.push(row),
                _ => places.add(&row),
            })?;
            let vcenter = self.session.live(call)?.is_vcenter();
            for row in rows {
                let at = Some(row.at.clone());
                hosts.extend(Station::of(self, row, vcenter).map(|it| (at, it)));
            }
            for it in &mut found {
                it.at.path = places.path(&it.at.name, it.parent.as_ref());
                it.at.name = unescaped(&it.at.name);
            }
            found = order::by_key(found, |it: &Found| format!("{}\0{}", it.at.name, it.at.path));
        }
        let id = |at: &Option<Ref>| at.as_ref().map(|it| it.id.clone()).unwrap_or_default();
        let hosts: HashMap<String, Station> =
            hosts.into_iter().map(|(at, station)| (id(&at), station)).collect();
        let port =
            |it: &Found, device: &Object| port(it, device, hosts.get(&id(&it.host)), self.lines);
        let all = found.iter().flat_map(|it| it.devices.iter().map(move |device| (it, device)));
        Ok(all.map(|(it, device)| port(it, device)).collect())
    }

    fn hosts(&self, call: &Call) -> Result<Vec<Home>> {
        let mut homes = Vec::new();
        let select = Select { kind: "HostSystem", paths: HOME };
        props::all(&self.session, call, &["HostSystem"], &[select], |row| homes.push(home(&row)))?;
        Ok(homes)
    }
}

/// From where a host may dial, by whichever of its own cards its routes choose.
fn home(row: &Row) -> Home {
    let mut addresses: Vec<String> = row.text("name").map(unescaped).into_iter().collect();
    for card in row.items("config.network.vnic").iter().filter_map(Value::as_object) {
        let six = card.get("spec.ip.ipV6Config.ipV6Address").map_or(&[][..], Value::items);
        let six = six.iter().filter_map(Value::as_object).filter_map(|it| it.text("ipAddress"));
        let all = card.text("spec.ip.ipAddress").into_iter().chain(six);
        addresses.extend(all.filter(|it| !it.is_empty()).map(str::to_owned));
    }
    let digest = match row.get("config.certificate").and_then(certificate) {
        Some(Trust::Fingerprint(digest)) => Some(fingerprint_text(&digest)),
        _ => row.text("summary.config.sslThumbprint").map(str::to_owned),
    };
    Home { addresses, certificate: digest }
}

impl Found {
    fn of(row: &Row) -> Found {
        let (id, name) = (row.at.id.clone(), row.string("name").unwrap_or_default());
        let uuids = ["summary.config.uuid", "summary.config.instanceUuid"];
        Found {
            at: MachineRef { id, name, path: String::new() },
            parent: row.reference("parent").cloned(),
            host: row.reference("runtime.host").cloned(),
            uuids: uuids.iter().filter_map(|it| uuid::plain(row.text(it)?)).collect(),
            powered: row.text("runtime.powerState").map(power) == Some(PowerState::On),
            devices: of_kind(row.items("config.hardware.device"), PORT).cloned().collect(),
        }
    }
}

fn port(it: &Found, device: &Object, host: Option<&Station>, lines: Option<&str>) -> Port {
    let line = Line::of(device).filter(|it| !it.is_cleared());
    let at = lines.or(host.map(|it| it.address.as_str()));
    let end = line.as_ref().zip(at).and_then(|(line, at)| line.end(at));
    let direct = line.as_ref().is_some_and(|it| it.listens_on().is_some());
    let way = match (&line, end) {
        (Some(Line { proxy: Some(proxy), uri, .. }), _) => {
            Way::Concentrator { proxy: proxy.clone(), word: uri.clone() }
        }
        (Some(line), Some((host, port))) => {
            let protocol = line.protocol().to_ascii_lowercase();
            Way::Dial {
                host,
                port,
                telnet: protocol.starts_with("telnet"),
                tls: protocol == "telnets" || protocol.ends_with("ssl"),
            }
        }
        (Some(_), None) if direct => Way::Nowhere(
            "the host that it runs on may not be seen, so nobody knows where to dial; the account \
             needs to read it"
                .to_owned(),
        ),
        (Some(line), None) => Way::Nowhere(match line.server {
            true => format!("{} is no address; setup_serial_port sets it up anew", line.shown()),
            false => format!(
                "its host dials out to {}; setup_serial_port with direction=server lets the host \
                 listen",
                line.uri
            ),
        }),
        (None, _) if Line::of(device).is_some() => {
            Way::Nowhere("it leads nowhere; setup_serial_port sets it up".to_owned())
        }
        (None, _) => Way::Nowhere(format!(
            "it leads to {}; setup_serial_port gives it a line of the network",
            shown(device)
        )),
    };
    let plugged = device.flag("connectable.connected") == Some(true);
    let closed = !it.powered || !plugged || matches!(way, Way::Nowhere(_));
    let stopped = || {
        let stopped = host.zip(line.as_ref()?.ruleset()).and_then(|(it, set)| it.stops(set))?;
        Some(format!("{stopped}; setup_serial_port opens it"))
    };
    let trouble = match &way {
        Way::Nowhere(why) => Some(why.clone()),
        _ if closed => Some(diagnosis(device, it.powered)),
        _ if device.text("connectable.status").is_some_and(|it| it.ends_with("overableError")) => {
            Some(diagnosis(device, true))
        }
        _ => stopped(),
    };
    Port {
        machine: it.at.clone(),
        uuids: it.uuids.clone(),
        label: label(device).to_owned(),
        network: line.is_some(),
        address: match line.as_ref().zip(at).and_then(|(line, at)| line.dial(at)) {
            Some(dial) => dial,
            None => line.as_ref().map_or_else(|| shown(device), Line::shown),
        },
        way,
        closed,
        trouble,
        powered: it.powered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(backing: Object, powered: bool, connected: bool) -> Port {
        let way = Object::new("VirtualDeviceConnectInfo")
            .with("startConnected", connected)
            .with("connected", connected)
            .with("status", "ok");
        let text = Object::new("Description").with("label", "Serial port 1");
        let device = Object::new(PORT)
            .with("deviceInfo", text)
            .with("backing", backing)
            .with("connectable", way);
        let id = |name: &str| Value::from(name);
        let state = if powered { "poweredOn" } else { "poweredOff" };
        let uuid = id("420D0001-0002-0003-0004-00000000ABcd");
        let row = Row::made(
            "VirtualMachine",
            "vm-1",
            &[
                ("name", id("a b")),
                ("runtime.powerState", id(state)),
                ("summary.config.uuid", uuid),
                ("config.hardware.device", Value::from(vec![device])),
            ],
        );
        let found = Found::of(&row);
        port(&found, &found.devices[0], None, Some("10.0.0.1"))
    }

    fn line(uri: &str, server: bool, proxy: Option<&str>) -> Object {
        Line { uri: uri.to_owned(), server, proxy: proxy.map(str::to_owned) }.backing()
    }

    #[test]
    fn a_port_says_how_it_is_dialled_or_why_not() {
        let it = told(line("telnets://:2001", true, None), true, true);
        let way = Way::Dial { host: "10.0.0.1".to_owned(), port: 2001, telnet: true, tls: true };
        assert_eq!((it.way, it.closed, it.trouble), (way, false, None));
        assert_eq!(
            (it.address.as_str(), &it.uuids[..]),
            ("telnets://10.0.0.1:2001", &["420d000100020003000400000000abcd".to_owned()][..])
        );
        let raw = told(line("fd00::9:2001", true, None), true, true);
        assert!(matches!(raw.way, Way::Dial { telnet: false, tls: false, port: 2001, .. }));
        let file = Object::new("VirtualSerialPortFileBackingInfo").with("fileName", "[ds] a/b.log");
        for (backing, powered, connected, said) in [
            (line("telnet://:2001", true, None), false, false, "the VM is off"),
            (line("telnet://:2001", true, None), true, false, "connect_serial_port"),
            (line("telnet://h:2001", false, None), true, true, "direction=server"),
            (line("tcp://5000", true, None), true, true, "is no address"),
            (Line::cleared().backing(), true, true, "leads nowhere"),
            (file, true, true, "file `[ds] a/b.log`"),
        ] {
            let it = told(backing, powered, connected);
            let trouble = it.trouble.unwrap();
            assert!(it.closed && trouble.contains(said), "{trouble}");
        }
        let by = told(line("word", true, Some("telnet://c:1")), true, true);
        assert!(matches!(by.way, Way::Concentrator { .. }) && !by.closed && by.network);
    }
}
