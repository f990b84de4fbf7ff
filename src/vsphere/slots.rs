//! A free place for a disk or a CD/DVD drive: which controller, which unit.
//!
//! Pure. What the disks of the machine hang on comes first, since that is what its guest has drivers
//! for; where all is full, a controller of the same type is added. Surprising: unit 7 of a SCSI
//! controller is the controller itself, and a running machine takes disks on SCSI and NVMe only.

use crate::error::{Error, Kind, Result};
use crate::text::order;
use crate::vim::value::{Object, Value};
use crate::vsphere::devices::{by_key, label, of_kind};

/// Temporary key of a controller that is made in the same request.
const NEW_CONTROLLER: i64 = -101;

/// A kind of controller that disks and drives hang on.
pub struct Bus {
    /// The type, or one that it extends.
    base: &'static str,
    pub name: &'static str,
    units: i64,
    /// How many a machine may have; none can be added where it has all from the start.
    most: usize,
    addable: bool,
    /// Disks come, go and grow while the machine runs.
    pub hot: bool,
}

/// In the order of preference.
static BUSES: [Bus; 4] = [
    // Paravirtual ones have 64 units since 6.7, with newer hardware versions only.
    Bus {
        base: "VirtualSCSIController",
        name: "SCSI",
        units: 16,
        most: 4,
        addable: true,
        hot: true,
    },
    // Unverified: the number of units; others stop at 8.
    Bus {
        base: "VirtualNVMEController",
        name: "NVMe",
        units: 15,
        most: 4,
        addable: true,
        hot: true,
    },
    Bus {
        base: "VirtualSATAController",
        name: "SATA",
        units: 30,
        most: 4,
        addable: true,
        hot: false,
    },
    Bus {
        base: "VirtualIDEController",
        name: "IDE",
        units: 2,
        most: 2,
        addable: false,
        hot: false,
    },
];

const SATA: usize = 2;
const IDE: usize = 3;

/// Where a new device goes.
#[derive(Debug, PartialEq)]
pub struct Slot {
    /// Key of the controller.
    pub controller: i64,
    pub unit: i64,
    /// `SCSI 0:1`, for a person.
    pub shown: String,
    /// The controller, where it has to be made first.
    pub added: Option<Object>,
}

/// What kind of controller a device hangs on.
pub fn bus_of(devices: &[Value], device: &Object) -> Option<&'static Bus> {
    let controller = device.int("controllerKey").and_then(|key| by_key(devices, key))?;
    BUSES.iter().find(|bus| controller.is(bus.base))
}

/// Where a device is, such as `SCSI 0:1`.
pub fn place(devices: &[Value], device: &Object) -> Option<String> {
    let controller = device.int("controllerKey").and_then(|key| by_key(devices, key))?;
    let bus = bus_of(devices, device)?;
    Some(format!("{} {}:{}", bus.name, controller.int("busNumber")?, device.int("unitNumber")?))
}

/// A place for a disk. `on`: the machine runs; `fallback` is the type of SCSI controller for a
/// machine that has none.
pub fn for_disk(devices: &[Value], on: bool, fallback: &'static str) -> Result<Slot> {
    let used = |bus: &Bus| {
        let own = |it: &&Object| bus_of(devices, it).is_some_and(|it| it.name == bus.name);
        of_kind(devices, "VirtualDisk").filter(own).count()
    };
    let most_used = |bus: &&Bus| -i64::try_from(used(bus)).unwrap_or(i64::MAX);
    let buses = order::by_number(BUSES.iter().collect(), &most_used);
    for bus in buses.into_iter().filter(|bus| bus.hot || !on) {
        // An empty IDE is in every machine and says nothing of what its guest boots from.
        if bus.name == "IDE" && used(bus) == 0 {
            continue;
        }
        if let Some(slot) = free(devices, bus).or_else(|| another(devices, bus, None)) {
            return Ok(slot);
        }
    }
    if let Some(slot) = another(devices, &BUSES[0], Some(fallback)) {
        return Ok(slot);
    }
    let error = Error::new(Kind::Conflict, "there is no room for another disk");
    Err(match on {
        true => error
            .hint("Its SCSI and NVMe controllers are full; others take disks only while it is off"),
        false => {
            error.hint("All controllers are full, and it can have no more; remove_disk makes room")
        }
    })
}

/// A place for a CD/DVD drive: on SATA where there is some, else on IDE, else on a new SATA
/// controller.
pub fn for_drive(devices: &[Value]) -> Result<Slot> {
    let (sata, ide) = (&BUSES[SATA], &BUSES[IDE]);
    free(devices, sata)
        .or_else(|| free(devices, ide))
        .or_else(|| another(devices, sata, Some("VirtualAHCIController")))
        .ok_or_else(|| {
            Error::new(Kind::Conflict, "there is no room for another CD/DVD drive").hint(
                "Its SATA and IDE controllers are full; attach_iso uses a drive that is there",
            )
        })
}

fn controllers<'a>(devices: &'a [Value], bus: &Bus) -> Vec<&'a Object> {
    let all = of_kind(devices, bus.base).collect();
    order::by_number(all, &|it| it.int("busNumber").unwrap_or(0))
}

/// The first free unit of the controllers that are there.
fn free(devices: &[Value], bus: &Bus) -> Option<Slot> {
    // What several machines share takes no disk of a single one.
    let own = |it: &&Object| matches!(it.text("sharedBus"), None | Some("noSharing"));
    controllers(devices, bus).into_iter().filter(own).find_map(|controller| {
        let key = controller.int("key")?;
        let itself = bus.base == "VirtualSCSIController";
        let itself = itself.then(|| controller.int("scsiCtlrUnitNumber").unwrap_or(7));
        let taken: Vec<i64> = devices
            .iter()
            .filter_map(Value::as_object)
            .filter(|it| it.int("controllerKey") == Some(key))
            .filter_map(|it| it.int("unitNumber"))
            .chain(itself)
            .collect();
        let unit = (0..bus.units).find(|unit| !taken.contains(unit))?;
        let shown = format!("{} {}:{unit}", bus.name, controller.int("busNumber").unwrap_or(0));
        Some(Slot { controller: key, unit, shown, added: None })
    })
}

/// The first unit of another controller, of the type that is there or of `fallback`.
fn another(devices: &[Value], bus: &Bus, fallback: Option<&'static str>) -> Option<Slot> {
    let there = controllers(devices, bus);
    let kind = there.last().and_then(|it| it.ty()).map(|it| it.name()).or(fallback)?;
    if !bus.addable || there.len() >= bus.most {
        return None;
    }
    let taken = |number: &i64| there.iter().any(|it| it.int("busNumber") == Some(*number));
    let number = (0..).find(|number| !taken(number))?;
    let mut made = Object::new(kind).with("key", NEW_CONTROLLER).with("busNumber", number);
    if bus.base == "VirtualSCSIController" {
        made.set("sharedBus", "noSharing");
    }
    let shown = format!("{} {number}:0 on a new controller", bus.name);
    Some(Slot { controller: NEW_CONTROLLER, unit: 0, shown, added: Some(made) })
}

/// Refuses what only disks on SCSI and NVMe do while the machine runs; `what` completes "cannot".
pub fn must_be_hot(devices: &[Value], disk: &Object, what: &str) -> Result<()> {
    let bus = bus_of(devices, disk);
    if bus.is_some_and(|bus| bus.hot) {
        return Ok(());
    }
    let on = bus.map_or("an unknown bus", |bus| bus.name);
    let said = format!("{} is on {on} and cannot {what} while the VM runs", label(disk));
    Err(Error::new(Kind::Conflict, said).hint("Power it off first (shutdown_guest or power_off)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PV: &str = "ParaVirtualSCSIController";

    fn controller(kind: &'static str, key: i64, bus: i64) -> Value {
        Object::new(kind).with("key", key).with("busNumber", bus).into()
    }

    fn scsi(key: i64, bus: i64) -> Value {
        let it = Object::new(PV).with("key", key).with("busNumber", bus);
        it.with("sharedBus", "noSharing").with("scsiCtlrUnitNumber", 7).into()
    }

    fn disk(controller: i64, unit: i64) -> Value {
        let it = Object::new("VirtualDisk").with("key", controller * 100 + unit);
        it.with("controllerKey", controller).with("unitNumber", unit).into()
    }

    fn ide() -> Vec<Value> {
        vec![controller("VirtualIDEController", 200, 0), controller("VirtualIDEController", 201, 1)]
    }

    fn shown(devices: &[Value], on: bool) -> String {
        match for_disk(devices, on, "VirtualLsiLogicController") {
            Ok(slot) => slot.shown,
            Err(error) => error.sentence(),
        }
    }

    #[test]
    fn the_unit_of_the_controller_itself_is_never_given() {
        let mut all = ide();
        all.push(scsi(1000, 0));
        assert_eq!(shown(&all, true), "SCSI 0:0");
        all.extend((0..7).map(|unit| disk(1000, unit)));
        assert_eq!(shown(&all, true), "SCSI 0:8");
        all.extend((8..16).map(|unit| disk(1000, unit)));
        let slot = for_disk(&all, true, "VirtualLsiLogicController").unwrap();
        assert_eq!((slot.controller, slot.unit), (NEW_CONTROLLER, 0));
        assert_eq!(slot.shown, "SCSI 1:0 on a new controller");
        let added = slot.added.unwrap();
        assert_eq!((added.kind(), added.int("busNumber")), (PV, Some(1)));
        assert_eq!(added.text("sharedBus"), Some("noSharing"));
    }

    #[test]
    fn what_the_disks_use_comes_first() {
        let mut all = ide();
        all.extend([scsi(1000, 0), controller("VirtualNVMEController", 31000, 0)]);
        all.push(disk(31000, 0));
        assert_eq!(shown(&all, true), "NVMe 0:1");
        all.extend([controller("VirtualAHCIController", 15000, 0)]);
        all.extend([disk(15000, 0), disk(15000, 1)]);
        assert_eq!(shown(&all, false), "SATA 0:2");
        assert_eq!(shown(&all, true), "NVMe 0:1");
    }

    #[test]
    fn a_machine_on_ide_gets_scsi_while_it_runs_and_when_ide_is_full() {
        let mut all = ide();
        all.push(disk(200, 0));
        assert_eq!(shown(&all, false), "IDE 0:1");
        assert_eq!(shown(&all, true), "SCSI 0:0 on a new controller");
        all.extend([disk(200, 1), disk(201, 0), disk(201, 1)]);
        let slot = for_disk(&all, false, "VirtualLsiLogicController").unwrap();
        assert_eq!(slot.added.unwrap().kind(), "VirtualLsiLogicController");
        assert_eq!(shown(&[], false), "SCSI 0:0 on a new controller");
    }

    #[test]
    fn gaps_are_filled_shared_controllers_are_left_alone_and_four_are_enough() {
        let shared = Object::new(PV).with("key", 1000).with("busNumber", 0);
        let mut all: Vec<Value> = vec![shared.with("sharedBus", "physicalSharing").into()];
        assert_eq!(shown(&all, true), "SCSI 1:0 on a new controller");
        all.extend([scsi(1003, 3), scsi(1001, 1)]);
        all.extend((0..16).map(|unit| disk(1001, unit)));
        all.extend((0..16).map(|unit| disk(1003, unit)));
        assert_eq!(shown(&all, true), "SCSI 2:0 on a new controller");
        all.push(scsi(1002, 2));
        assert_eq!(shown(&all, true), "SCSI 2:0");
        all.extend((0..16).map(|unit| disk(1002, unit)));
        assert_eq!(shown(&all, true), "there is no room for another disk");
        assert_eq!(shown(&all, false), "there is no room for another disk");
    }

    #[test]
    fn a_full_nvme_controller_gets_another_beside_it_also_while_the_machine_runs() {
        let mut all = ide();
        all.push(controller("VirtualNVMEController", 31000, 0));
        all.extend((0..15).map(|unit| disk(31000, unit)));
        let slot = for_disk(&all, true, "VirtualLsiLogicController").unwrap();
        assert_eq!(slot.shown, "NVMe 1:0 on a new controller");
        let added = slot.added.unwrap();
        assert_eq!((added.kind(), added.int("busNumber")), ("VirtualNVMEController", Some(1)));
        assert_eq!(added.get("sharedBus"), None);
        for bus in 1..4 {
            all.push(controller("VirtualNVMEController", 31000 + bus, bus));
            all.extend((0..15).map(|unit| disk(31000 + bus, unit)));
        }
        // All four are full, so the guest gets the first SCSI controller.
        assert_eq!(shown(&all, true), "SCSI 0:0 on a new controller");
    }

    #[test]
    fn a_machine_on_sata_gets_sata_while_it_is_off_only() {
        let mut all = ide();
        all.push(controller("VirtualAHCIController", 15000, 0));
        all.extend((0..30).map(|unit| disk(15000, unit)));
        let slot = for_disk(&all, false, "VirtualLsiLogicController").unwrap();
        assert_eq!(slot.shown, "SATA 1:0 on a new controller");
        assert_eq!(slot.added.unwrap().kind(), "VirtualAHCIController");
        assert_eq!(shown(&all, true), "SCSI 0:0 on a new controller");
        // A drive takes a place as a disk does.
        let drive = Object::new("VirtualCdrom").with("key", 16000).with("controllerKey", 15001);
        all.push(controller("VirtualAHCIController", 15001, 1));
        all.push(drive.with("unitNumber", 0).into());
        assert_eq!(shown(&all, false), "SATA 1:1");
    }

    #[test]
    fn a_place_is_told_on_every_bus() {
        let mut all = ide();
        all.extend([scsi(1000, 1), controller("VirtualNVMEController", 31000, 0)]);
        all.push(controller("VirtualAHCIController", 15000, 2));
        for (at, told) in [
            (disk(201, 1), Some("IDE 1:1")),
            (disk(1000, 8), Some("SCSI 1:8")),
            (disk(31000, 3), Some("NVMe 0:3")),
            (disk(15000, 29), Some("SATA 2:29")),
            (disk(77, 0), None),
        ] {
            assert_eq!(place(&all, at.as_object().unwrap()).as_deref(), told);
        }
    }

    #[test]
    fn drives_go_to_sata_then_ide_then_a_new_sata() {
        let drive = |all: &[Value]| for_drive(all).map(|slot| slot.shown).unwrap();
        let mut all = ide();
        assert_eq!(drive(&all), "IDE 0:0");
        all.extend([disk(200, 0), disk(200, 1), disk(201, 0), disk(201, 1)]);
        assert_eq!(drive(&all), "SATA 0:0 on a new controller");
        all.push(controller("VirtualAHCIController", 15000, 0));
        assert_eq!(drive(&all), "SATA 0:0");
        all.extend((0..30).map(|unit| disk(15000, unit)));
        assert_eq!(drive(&all), "SATA 1:0 on a new controller");
    }

    #[test]
    fn only_scsi_and_nvme_are_hot() {
        let mut all = ide();
        all.extend([scsi(1000, 0), disk(1000, 0), disk(200, 0), disk(999, 0)]);
        all.extend([controller("VirtualNVMEController", 31000, 0), disk(31000, 0)]);
        all.extend([controller("VirtualAHCIController", 15000, 0), disk(15000, 0)]);
        let said = |at: usize| {
            let disk = all[at].as_object().unwrap();
            must_be_hot(&all, disk, "grow").map_err(|it| it.sentence())
        };
        assert_eq!(said(3), Ok(()));
        assert!(said(4).unwrap_err().contains("is on IDE and cannot grow while the VM runs"));
        assert!(said(5).unwrap_err().contains("an unknown bus"));
        assert_eq!(said(7), Ok(()));
        assert!(said(9).unwrap_err().contains("is on SATA and cannot grow"));
    }
}
