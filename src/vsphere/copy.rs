//! Copying a machine on a standalone ESXi, which has no clone of its own.
//!
//! A folder is made, the disks are copied into it, and a machine of the same configuration is made
//! around them. Whatever fails on the way takes the folder with it, and only the folder that was
//! made here. Unverified against a real host: EFI variables and a delta chain's base.

use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::hv::call::{Call, Rights};
use crate::hv::lifecycle::NewClone;
use crate::hv::model::PowerState;
use crate::hv::prepared::Prepared;
use crate::text::words::counted;
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::copy_spec::{CopiedDisk, config_spec, copied_disks, file_stem, not_copied};
use crate::vsphere::machines::{power, reference};
use crate::vsphere::site::Site;
use crate::vsphere::tree::escaped;
use crate::vsphere::{Vsphere, props, task};

/// Checks that the source can be copied, and says what will be.
pub fn prepare<'a>(
    it: &'a Vsphere,
    call: &Call,
    source: &str,
    new: &NewClone,
) -> Result<Prepared<'a>> {
    if new.linked {
        return Err(Error::new(Kind::Unsupported, "a standalone ESXi makes no linked clones")
            .hint("Pass linked=false, or ask a vCenter"));
    }
    if new.folder.is_some() {
        return Err(Error::new(Kind::Unsupported, "a standalone ESXi has no folders")
            .hint("Leave `folder` out"));
    }
    let at = it.locate(call, source)?;
    let paths = ["runtime.powerState", "config", "snapshot"];
    let row = props::one(&it.session, call, &reference(&at), "VirtualMachine", &paths)?;
    let config = row.object("config").cloned().ok_or_else(|| {
        Error::new(Kind::Conflict, format!("the configuration of `{}` cannot be read", at.name))
            .hint("get_vm_info shows its state")
    })?;
    refuse_unfit(&at.name, row.text("runtime.powerState"), row.object("snapshot"), &config)?;
    let site = Site::read(it, call)?;
    let folder = site.folder(None)?;
    site.refuse_duplicate(&new.name, &folder)?;
    let store = site.datastore(new.datastore.as_deref(), it.defaults.datastore.as_deref())?;
    let home = format!("[{}] {}", store.name, file_stem(&new.name));
    let copied = copied_disks(&config, &home, &new.name)?;
    let gigabytes = copied.iter().map(|disk| disk.bytes).sum::<i64>() >> 30;
    let mut steps = vec![
        format!("the folder {home} is made"),
        format!(
            "{} of `{}` copied into it, {gigabytes} GB at most",
            counted(copied.len(), "disk"),
            at.name
        ),
        format!(
            "`{}` is made around them with the same CPUs, memory, controllers, network cards, CD \
             drives and serial ports, new MAC addresses and a new uuid",
            new.name
        ),
    ];
    if config.text("firmware") == Some("efi") {
        steps.push("its EFI variables start empty".to_owned());
    }
    let dropped = not_copied(&config);
    if !dropped.is_empty() {
        steps.push(format!("not copied: {}", dropped.join(", ")));
    }
    if new.power_on {
        steps.push(format!("`{}` is powered on", new.name));
    }
    let spec = config_spec(&config, &escaped(&new.name), &home, &copied);
    let work = Work {
        it,
        name: new.name.clone(),
        home,
        copied,
        folder,
        datacenter: site.datacenter().clone(),
        args: Object::args().with("config", spec).with("pool", site.pool()),
        from: at.name,
        power_on: new.power_on,
    };
    let seen = format!("{} {}", at.id, config.text("changeVersion").unwrap_or_default());
    Ok(Prepared::new(steps, seen, move |call| work.run(call)))
}

fn refuse_unfit(
    name: &str,
    state: Option<&str>,
    snapshot: Option<&Object>,
    config: &Object,
) -> Result<()> {
    let refuse =
        |why: String, next: &str| Err(Error::new(Kind::Conflict, why).hint(next.to_owned()));
    let state = power(state.unwrap_or_default());
    if state != PowerState::Off {
        return refuse(
            format!("`{name}` is {}; its disks cannot be copied", state.word()),
            "Shut it down first; a running VM is cloned by vCenter only",
        );
    }
    if snapshot.is_some() {
        return refuse(
            format!("`{name}` has snapshots; a copy of its disks would lack what came after them"),
            "Delete them with delete_all_snapshots, or clone by vCenter",
        );
    }
    if config.objects("hardware.device").any(|device| device.is("VirtualTPM")) {
        return refuse(
            format!("`{name}` has a virtual TPM, whose keys cannot be copied"),
            "Clone it by vCenter",
        );
    }
    Ok(())
}

struct Work<'a> {
    it: &'a Vsphere,
    name: String,
    home: String,
    copied: Vec<CopiedDisk>,
    folder: Ref,
    datacenter: Ref,
    args: Object,
    from: String,
    power_on: bool,
}

impl Work<'_> {
    fn run(self, call: &Call) -> Result<Vec<String>> {
        let session = &self.it.session;
        let files = session.live(call)?.manager("fileManager")?;
        let args = Object::args()
            .with("name", self.home.as_str())
            .with("datacenter", &self.datacenter)
            .with("createParentDirectories", false);
        session.call(call, &files, "MakeDirectory", &args)?;
        match self.fill(call) {
            Ok(machine) => self.finish(call, &machine),
            // A copy that still runs would lose its folder under its feet.
            Err(error) if task::goes_on(&error) => {
                let left =
                    format!("{} is left; look whether the copy ends, or delete it", self.home);
                Err(error.during(left))
            }
            Err(error) => Err(match self.made_all_the_same() {
                Ok(None) => self.clean_up(&files, error),
                Ok(Some(id)) => {
                    error.during(format!("`{}` exists all the same, id {id}", self.name))
                }
                Err(_) => error.during(format!("{} is left: the server is lost", self.home)),
            }),
        }
    }

    /// The id of a machine of the new name: a task that failed may have made it.
    fn made_all_the_same(&self) -> Result<Option<String>> {
        let call = Call::new(Rights::ReadOnly).within(Duration::from_secs(60));
        match self.it.locate(&call, &self.name) {
            Ok(at) => Ok(Some(at.id)),
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Copies the disks and makes the machine.
    fn fill(&self, call: &Call) -> Result<Ref> {
        let session = &self.it.session;
        let manager = session.live(call)?.manager("virtualDiskManager")?;
        for (at, disk) in self.copied.iter().enumerate() {
            let spec = Object::new("VirtualDiskSpec")
                .with("diskType", disk.kind)
                .with("adapterType", disk.adapter);
            let args = Object::args()
                .with("sourceName", disk.from.as_str())
                .with("sourceDatacenter", &self.datacenter)
                .with("destName", disk.to.as_str())
                .with("destDatacenter", &self.datacenter)
                // Without it a thin disk becomes thick.
                .with("destSpec", spec);
            let doing =
                format!("copying disk {} of {} of {}", at + 1, self.copied.len(), self.from);
            task::run(session, call, &manager, "CopyVirtualDisk_Task", &args, None, &doing)?;
        }
        let made = task::run(
            session,
            call,
            &self.folder,
            "CreateVM_Task",
            &self.args,
            None,
            "making the copy",
        )?;
        made.as_ref().and_then(Value::as_reference).cloned().ok_or_else(|| {
            Error::new(Kind::Remote, "CreateVM_Task: the server did not say what it made")
        })
    }

    fn finish(&self, call: &Call, machine: &Ref) -> Result<Vec<String>> {
        let mut done =
            vec![format!("copied from `{}` to {}, id {}", self.from, self.home, machine.id)];
        if self.power_on {
            let none = Object::args();
            let on = task::run(
                &self.it.session,
                call,
                machine,
                "PowerOnVM_Task",
                &none,
                Some(machine),
                "powering on",
            );
            on.map_err(|error| error.during("copied, but not powered on"))?;
            done.push("powered on".to_owned());
        }
        Ok(done)
    }

    /// Takes the half-filled folder away, also when the call was cancelled; says if it could not.
    fn clean_up(&self, files: &Ref, error: Error) -> Error {
        let call = Call::new(Rights::Change).within(Duration::from_secs(120));
        let args =
            Object::args().with("name", self.home.as_str()).with("datacenter", &self.datacenter);
        let method = "DeleteDatastoreFile_Task";
        match task::run(&self.it.session, &call, files, method, &args, None, "cleaning up") {
            Ok(_) => error.during("nothing was kept"),
            Err(second) => {
                log::error!("{} was left behind: {second}", self.home);
                error.during(format!("{} was left behind and must be deleted by hand", self.home))
            }
        }
    }
}
