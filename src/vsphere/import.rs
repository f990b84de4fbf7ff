//! An import over an NFC lease: understood by the server first, then made whole or not at all.
//!
//! The plan chooses places and has the server check the descriptor. The run opens a lease, sends the
//! files, compares the manifest while nothing counts yet, and completes. Surprising: the server does
//! not look whether all files came, so that completing is only for who has sent them all.

use crate::error::{Error, Kind, Result, quoted};
use crate::hv::appliances::{Import, Provisioning, Pull, Supply};
use crate::hv::call::Call;
use crate::hv::meter::amount;
use crate::hv::prepared::Prepared;
use crate::text::words::counted;
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::devices::gigabytes;
use crate::vsphere::import_after::After;
use crate::vsphere::import_place::Place;
use crate::vsphere::import_send::Send;
use crate::vsphere::import_spec::{Item, Planned};
use crate::vsphere::lease::Lease;
use crate::vsphere::{Vsphere, import_place, import_pull, import_spec, iso, ovf_env};

/// Checks it all and says what will be made.
pub fn prepare<'a>(
    it: &'a Vsphere,
    call: &Call,
    what: &Import<'_>,
    mut files: Box<dyn Supply + 'a>,
) -> Result<Prepared<'a>> {
    let live = it.session.live(call)?;
    let vcenter = live.is_vcenter();
    let place = import_place::choose(it, call, what)?;
    let planned = import_spec::ask(it, call, what, &place, vcenter)?;
    if planned.vapp && !vcenter {
        let said = "the appliance is several machines in one (a vApp)";
        return Err(Error::new(Kind::Unsupported, said)
            .hint("A standalone ESXi takes single machines only; it needs vCenter"));
    }
    if planned.vapp && what.iso.is_some() {
        let said = "the appliance is several machines, and the ISO is for one";
        return Err(Error::usage(said).hint("Leave the ISO out and insert it afterwards"));
    }
    let in_order = has_parents(what.descriptor) && planned.items.len() > 1;
    match &what.pull {
        Some(pull) => import_pull::check(it, call, &planned.items, pull)?,
        None if what.one_pass => one_pass(&planned.items, in_order)?,
        None => {}
    }
    let room = room(what, &place, &planned)?;
    let mut steps = steps(what, &place, &planned);
    steps.extend(room);
    let host = place.host.as_ref().map(|(_, at)| at);
    let image = what
        .iso
        .as_ref()
        .map(|image| iso::find(it, call, image, host, Some(&place.store.name)))
        .transpose()?;
    let (image, unseen) = image.map_or((None, None), |(path, unseen)| (Some(path), unseen));
    if let Some(path) = &image {
        let first = if what.boot_from_iso { ", first in the boot order" } else { "" };
        steps.push(format!("a CD/DVD drive holds {path}{first}"));
    }
    steps.extend(unseen);
    let reads = what.transports.iter().any(|it| it == "com.vmware.guestInfo");
    let env = !vcenter && (reads || !what.settings.is_empty());
    if env {
        // What cannot be written is found now.
        ovf_env::text(live.content.object("about"), what.settings, "")?;
        steps.push(match reads {
            true => "the settings go into the guest's OVF environment".to_owned(),
            false => {
                "the settings go into the guest's OVF environment; the appliance does not say \
                      that it looks there, and a standalone ESXi has no other way"
                    .to_owned()
            }
        });
    }
    steps.push(if what.power_on { "it is powered on" } else { "it stays off" }.to_owned());
    let mut seen = format!("{} {}", place.folder.id, place.store.at.id);
    for network in &place.networks {
        seen.push_str(&format!(" {}", network.at.id));
    }
    let work = Work {
        it,
        name: what.name.to_owned(),
        pool: place.pool,
        folder: place.folder,
        host: place.host.map(|(_, at)| at),
        spec: planned.spec,
        items: planned.items,
        in_order,
        pull: what.pull.clone(),
        after: After {
            boot: image.is_some() && what.boot_from_iso,
            image,
            settings: env.then(|| what.settings.to_vec()),
            power_on: what.power_on,
        },
    };
    Ok(Prepared::new(steps, seen, move |call| work.run(call, &mut *files)))
}

/// Whether a disk is only what differs from another one, which must be there before it. Seen as
/// text: one that is found where there is none costs nothing but a free choice.
fn has_parents(descriptor: &str) -> bool {
    descriptor.split("parentRef").skip(1).any(|rest| {
        let value = rest.trim_start().strip_prefix('=').map(str::trim_start);
        value.and_then(|it| it.get(..2)).is_some_and(|it| it != "\"\"" && it != "''")
    })
}

/// Refuses what cannot be done when each file comes once, in an order of its own.
fn one_pass(items: &[Item], in_order: bool) -> Result<()> {
    let hint = "Save it to a file, or name its URL: these can be read in any order";
    let twice = |(at, it): &(usize, &Item)| items[..*at].iter().any(|other| other.path == it.path);
    if let Some((_, item)) = items.iter().enumerate().find(twice) {
        let said = format!("`{}` is needed twice, and comes only once", quoted(&item.path));
        return Err(Error::new(Kind::Unsupported, said).hint(hint));
    }
    if in_order {
        let said = "disks of the appliance build on others, so that their order counts";
        return Err(Error::new(Kind::Unsupported, said).hint(hint));
    }
    Ok(())
}

/// Refuses what cannot fit, and says what may not.
fn room(what: &Import<'_>, place: &Place, planned: &Planned) -> Result<Option<String>> {
    let free = u64::try_from(place.store.free_bytes).unwrap_or(0);
    let disks: u64 = planned.disks.iter().fold(0, |sum, it| sum.saturating_add(*it));
    let files = planned.items.iter().filter_map(|it| it.size).fold(0, u64::saturating_add);
    let least = if what.provisioning == Provisioning::Thin { files } else { disks };
    let shown = |bytes: u64| gigabytes(i64::try_from(bytes).unwrap_or(i64::MAX));
    let name = &place.store.name;
    if least > free {
        let said = format!("`{name}` has {} free, and it takes {}", shown(free), shown(least));
        let error = Error::new(Kind::Conflict, said).fault("NoDiskSpace");
        return Err(error.hint(match what.provisioning {
            Provisioning::Thin => "Choose another datastore, or make room",
            _ => "Choose another datastore, make room, or take disk_provisioning=thin",
        }));
    }
    Ok((disks > free).then(|| {
        format!(
            "`{name}` has {} free: its disks can grow to {}, for which there is no room",
            shown(free),
            shown(disks)
        )
    }))
}

/// What will be made, for a person. What was chosen of the appliance is told by who asked.
fn steps(what: &Import<'_>, place: &Place, planned: &Planned) -> Vec<String> {
    let on = place.host.as_ref().map_or(&place.compute, |(name, _)| name);
    let mut steps = vec![format!("`{}` is made of the appliance on `{on}`", what.name)];
    let sizes: Vec<String> = planned
        .disks
        .iter()
        .take(20)
        .map(|it| gigabytes(i64::try_from(*it).unwrap_or(i64::MAX)))
        .collect();
    let free = gigabytes(place.store.free_bytes);
    steps.push(match sizes.len() {
        0 => format!("it has no disks; its files go to `{}` ({free} free)", place.store.name),
        _ => format!(
            "{} ({}), {}, on `{}` ({free} free)",
            counted(planned.disks.len(), "disk"),
            sizes.join(", "),
            import_spec::word(what.provisioning),
            place.store.name
        ),
    });
    for it in &place.networks {
        let wanted = quoted(&it.wanted);
        steps.push(match wanted == it.name {
            true => format!("network `{}`", it.name),
            false => format!("its network `{wanted}` is `{}`", it.name),
        });
    }
    if let (Some(network), []) = (what.network, what.wants) {
        steps.push(format!("it has no network card, so `{}` is not used", quoted(network)));
    }
    let count = counted(planned.items.len(), "file");
    let total = planned.items.iter().try_fold(0_u64, |sum, it| sum.checked_add(it.size?));
    let total = total.map_or(String::new(), |it| format!(" of {}", amount(it)));
    match &what.pull {
        _ if planned.items.is_empty() => {}
        Some(pull) => steps.push(format!(
            "the host fetches {count}{total} by itself from {}; no manifest is compared",
            import_pull::shown(&pull.url)
        )),
        None => steps.push(format!("it is sent {count}{total}")),
    }
    steps.extend(planned.warnings.iter().map(|it| format!("the server warns: {it}")));
    steps
}

/// All that the run needs.
struct Work<'a> {
    it: &'a Vsphere,
    name: String,
    pool: Ref,
    folder: Ref,
    host: Option<Ref>,
    spec: Object,
    items: Vec<Item>,
    in_order: bool,
    pull: Option<Pull>,
    after: After,
}

impl Work<'_> {
    fn run(self, call: &Call, files: &mut dyn Supply) -> Result<Vec<String>> {
        let (vm, mut done) = self.made(call, files)?;
        done.insert(0, format!("`{}` is made, id {}", self.name, vm.id));
        self.after.run(self.it, call, &vm, &self.name, &mut done)?;
        Ok(done)
    }

    fn made(&self, call: &Call, files: &mut dyn Supply) -> Result<(Ref, Vec<String>)> {
        let unmade = |error: Error| error.during("it was not made");
        // Dropped on each way out but the last, which takes the half machine away.
        let lease = self.lease(call).map_err(unmade)?;
        let done = self.filled(call, &lease, files).map_err(unmade)?;
        let vm = lease.machine().cloned().ok_or_else(|| {
            unmade(Error::new(Kind::Remote, "the server does not tell what it made"))
        })?;
        lease.complete(call).map_err(|error| match error.kind() {
            Kind::Network => error
                .during(format!("whether `{}` ({}) was made is not known", self.name, vm.id))
                .hint_instead("All files were sent; get_vm_info tells whether it is there"),
            _ => unmade(error),
        })?;
        Ok((vm, done))
    }

    fn lease(&self, call: &Call) -> Result<Lease> {
        let args = Object::args()
            .with("spec", self.spec.clone())
            .with("folder", &self.folder)
            .with_some("host", self.host.as_ref());
        let session = &self.it.session;
        let opened = session.call(call, &self.pool, "ImportVApp", &args)?;
        let at = opened.as_ref().and_then(Value::as_reference).cloned();
        let at = at.ok_or_else(|| Error::new(Kind::Remote, "the server opened no lease"))?;
        call.progress(0.0, format!("making {}", self.name));
        Lease::hold(session, call, at)
    }

    /// Everything that must be there before it counts.
    fn filled(&self, call: &Call, lease: &Lease, files: &mut dyn Supply) -> Result<Vec<String>> {
        if let Some(pull) = &self.pull {
            return import_pull::all(self.it, call, lease, &self.items, pull);
        }
        let (items, in_order) = (&self.items, self.in_order);
        let mut done = Send { it: self.it, call, lease, items, in_order }.all(files)?;
        done.extend(files.finish()?);
        // The host may have given it up while the rest was read.
        lease.moved(99)?;
        call.check()?;
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(path: &str) -> Item {
        Item {
            device: String::new(),
            path: path.to_owned(),
            size: None,
            create: false,
            disk: true,
            packed: false,
        }
    }

    #[test]
    fn disks_that_build_on_others_are_seen() {
        for (text, wanted) in [
            ("<Disk ovf:parentRef=\"vmdisk1\"/>", true),
            ("<Disk parentRef = 'a'/>", true),
            ("<Disk ovf:parentRef=\"\"/><Disk parentRef=''/>", false),
            ("<Disk ovf:diskId=\"parentRef\"/>", false),
            ("", false),
            ("parentRef=", false),
        ] {
            assert_eq!(has_parents(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_a_pipe_cannot_give_is_refused_before() {
        assert!(one_pass(&[item("a"), item("b")], false).is_ok());
        let twice = one_pass(&[item("a"), item("b"), item("a")], false).unwrap_err();
        assert!(twice.to_string().starts_with("`a` is needed twice"), "{twice}");
        assert_eq!(one_pass(&[item("a"), item("b")], true).unwrap_err().kind(), Kind::Unsupported);
    }
}
