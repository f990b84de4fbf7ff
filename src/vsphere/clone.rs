//! Copying a machine with vCenter, which does all the work in one task.

use crate::error::{Error, Kind, Result};
use crate::hv::call::Call;
use crate::hv::lifecycle::NewClone;
use crate::hv::prepared::Prepared;
use crate::text::words::counted;
use crate::vim::value::{Object, Value};
use crate::vsphere::devices::disks;
use crate::vsphere::machines::reference;
use crate::vsphere::site::Site;
use crate::vsphere::tree::escaped;
use crate::vsphere::{Vsphere, props, task};

const PATHS: &[&str] = &[
    "parent",
    "runtime.host",
    "runtime.powerState",
    "summary.config.template",
    "config.hardware.device",
    "snapshot",
];

/// What makes a copy a deployment: its source is a template, and the guest may be customized.
pub struct Deploy {
    /// Name and `CustomizationSpec`.
    pub customization: Option<(String, Object)>,
}

/// Chooses folder, pool and datastore, and says what will be copied.
pub fn prepare<'a>(
    it: &'a Vsphere,
    call: &Call,
    source: &str,
    new: &NewClone,
    deploy: Option<Deploy>,
) -> Result<Prepared<'a>> {
    let at = it.locate(call, source)?;
    let vm = reference(&at);
    let row = props::one(&it.session, call, &vm, "VirtualMachine", PATHS)?;
    let template = row.flag("summary.config.template") == Some(true);
    if deploy.is_some() && !template {
        return Err(Error::new(Kind::Conflict, format!("`{}` is a VM, not a template", at.name))
            .hint("clone_vm copies VMs; convert_to_template makes a template of one"));
    }
    let site = Site::near(it, call, row.reference("runtime.host"))?;
    let folder = match (&new.folder, row.reference("parent")) {
        (None, Some(parent)) => parent.clone(),
        (wanted, _) => site.folder(wanted.as_deref())?,
    };
    site.refuse_duplicate(&new.name, &folder)?;
    let configured = it.defaults.datastore.as_deref().filter(|_| template);
    let store = match (new.datastore.as_deref(), configured) {
        (None, None) => None,
        (wanted, configured) => Some(site.datastore(wanted, configured)?),
    };
    let current = row.object("snapshot").and_then(|it| it.reference("currentSnapshot")).cloned();
    if new.linked && current.is_none() {
        return Err(Error::new(
            Kind::Conflict,
            format!("`{}` has no snapshot to link to", at.name),
        )
        .hint("Make one with create_snapshot, or pass linked=false"));
    }
    let all = disks(row.items("config.hardware.device"));
    let bytes: i64 = all.iter().map(|disk| disk.size_bytes).sum();
    let how = match new.linked {
        true => "shares the disks of its current snapshot".to_owned(),
        false => format!("{} copied, {} GB at most", counted(all.len(), "disk"), bytes >> 30),
    };
    let on =
        store.as_ref().map_or("the source's datastore".to_owned(), |it| format!("`{}`", it.name));
    let mut steps = vec![format!(
        "`{}` is cloned to `{}` on {on}, `{}`: {how}",
        at.name,
        new.name,
        site.compute_name()
    )];
    let customization = deploy.and_then(|it| it.customization);
    if let Some((name, _)) = &customization {
        steps.push(format!("its guest is customized by `{name}` when it first starts"));
    }
    if new.power_on {
        steps.push(format!("`{}` is powered on", new.name));
    }
    let location = Object::new("VirtualMachineRelocateSpec")
        .with_some("datastore", store.map(|it| it.at))
        .with_some("diskMoveType", new.linked.then_some("createNewChildDiskBacking"))
        // A template has no pool of its own.
        .with_some("pool", template.then(|| site.pool().clone()));
    let spec = Object::new("VirtualMachineCloneSpec")
        .with("location", location)
        .with("template", false)
        .with_some("customization", customization.map(|(_, spec)| spec))
        .with("powerOn", new.power_on)
        .with_some("snapshot", current.filter(|_| new.linked));
    let args =
        Object::args().with("folder", &folder).with("name", escaped(&new.name)).with("spec", spec);
    let seen = format!("{} {}", at.id, row.text("runtime.powerState").unwrap_or_default());
    let (from, power_on) = (at.name, new.power_on);
    Ok(Prepared::new(steps, seen, move |call| {
        let doing = format!("cloning {from}");
        let made = task::run(&it.session, call, &vm, "CloneVM_Task", &args, Some(&vm), &doing)?;
        let id = made.as_ref().and_then(Value::as_reference).map_or("unknown", |it| it.id.as_str());
        let state = if power_on { "powered on" } else { "powered off" };
        Ok(vec![format!("cloned from `{from}`, id {id}, {state}")])
    }))
}
