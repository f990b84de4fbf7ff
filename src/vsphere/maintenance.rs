//! Maintenance mode, reboot and shutdown of a host.
//!
//! Surprising: a host waits for its last running machine, and only DRS moves machines away; on a
//! standalone host nobody does. And a host that reboots takes our own session with it, so that the
//! end of the task may never be heard.

use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::hv::call::Call;
use crate::hv::prepared::Prepared;
use crate::text::words::counted;
use crate::vim::value::{Object, Ref};
use crate::vsphere::hosts::{HostAt, find, references, running};
use crate::vsphere::props::{Row, Select};
use crate::vsphere::{Vsphere, props, task};

const PATHS: &[&str] = &["runtime.inMaintenanceMode"];

/// Names in one sentence.
const SHOWN: usize = 20;

/// How much longer than the host itself we wait for its verdict.
const GRACE: Duration = Duration::from_secs(30);

/// A host with what runs on it.
struct Target {
    host: HostAt,
    maintenance: bool,
    running: Vec<String>,
    /// Who would move running machines away.
    mover: Mover,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mover {
    /// DRS does it by itself.
    Drs,
    /// DRS only recommends.
    Advice,
    /// A vCenter without DRS here, or without another host.
    Nobody,
    /// A standalone host, which has nowhere to move them to.
    Standalone,
}

fn target(it: &Vsphere, call: &Call, wanted: Option<&str>) -> Result<Target> {
    let host = find(it, call, wanted, PATHS)?;
    let row = props::one(&it.session, call, &host.at, "HostSystem", &["parent", "vm"])?;
    let mut refs = references(&row, "vm");
    let cluster = row.reference("parent").filter(|it| &*it.kind == "ClusterComputeResource");
    refs.extend(cluster.cloned());
    let rows = around(it, call, &refs)?;
    let cluster = rows.iter().find(|row| &*row.at.kind == "ClusterComputeResource");
    let standalone = !it.session.live(call)?.is_vcenter();
    Ok(Target {
        maintenance: host.row.flag("runtime.inMaintenanceMode") == Some(true),
        running: running(&rows),
        mover: if standalone { Mover::Standalone } else { mover(cluster) },
        host,
    })
}

/// The machines and the cluster, in one query.
fn around(it: &Vsphere, call: &Call, refs: &[Ref]) -> Result<Vec<Row>> {
    let machines = Select { kind: "VirtualMachine", paths: &["name", "runtime.powerState"] };
    let cluster = Select {
        kind: "ClusterComputeResource",
        paths: &[
            "host",
            "configuration.drsConfig.enabled",
            "configuration.drsConfig.defaultVmBehavior",
        ],
    };
    let used: Vec<Select<'_>> = [machines, cluster]
        .into_iter()
        .filter(|select| refs.iter().any(|it| *it.kind == *select.kind))
        .collect();
    props::of(&it.session, call, refs, &used)
}

fn mover(cluster: Option<&Row>) -> Mover {
    let Some(cluster) = cluster else { return Mover::Nobody };
    let alone = cluster.items("host").len() < 2;
    match cluster.flag("configuration.drsConfig.enabled") {
        Some(true) if alone => Mover::Nobody,
        Some(true) => match cluster.text("configuration.drsConfig.defaultVmBehavior") {
            Some("manual" | "partiallyAutomated") => Mover::Advice,
            _ => Mover::Drs,
        },
        _ => Mover::Nobody,
    }
}

impl Target {
    fn name(&self) -> &str {
        &self.host.name
    }

    fn seen(&self) -> String {
        format!("{} {} {}", self.host.at.id, self.maintenance, self.running.join(","))
    }

    fn vms(&self) -> String {
        list(&self.running)
    }
}

/// `2 running VMs: a, b`; empty for none.
fn list(names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    let more = if names.len() > SHOWN { ", ..." } else { "" };
    format!("{}: {}{more}", counted(names.len(), "running VM"), shown.join(", "))
}

/// Prepares to put a host into maintenance mode; with its name. `evacuate`: running machines are
/// expected to be moved away, and powered-off ones are as well.
pub fn enter<'a>(
    it: &'a Vsphere,
    call: &Call,
    wanted: Option<&str>,
    evacuate: bool,
    seconds: i64,
) -> Result<(String, Prepared<'a>)> {
    let target = target(it, call, wanted)?;
    let name = target.name().to_owned();
    if target.maintenance {
        let said = "in maintenance mode already";
        return Ok((name, Prepared::already(said)));
    }
    let (mover, vms) = (target.mover, target.vms());
    let mut steps = Vec::new();
    if !target.running.is_empty() {
        if evacuate && mover == Mover::Standalone {
            let said = format!("`{name}` has {vms}, and a standalone host cannot move them away");
            return Err(Error::new(Kind::Conflict, said).hint(
                "Shut them down or suspend them first, or pass evacuate_vms=false and do it while the host waits",
            ));
        }
        steps.push(match (evacuate, mover) {
            (true, Mover::Drs) => format!("DRS moves {vms}"),
            (true, Mover::Advice) => format!(
                "DRS only recommends here; apply its recommendations or migrate_vm for {vms}"
            ),
            (true, _) => format!("nobody moves these away, so migrate_vm or stop them: {vms}"),
            (false, Mover::Drs) => format!("DRS moves {vms}; powered-off VMs stay"),
            (false, _) => format!("the host waits until these are stopped or moved: {vms}"),
        });
    }
    // Without DRS a vCenter would wait until a person has moved even those that are off.
    let evacuate = evacuate && mover == Mover::Drs;
    if evacuate {
        steps.push("powered-off and suspended VMs move to other hosts as well".to_owned());
    }
    steps.push(format!("`{name}` enters maintenance mode within {seconds} s, or gives up"));
    let seen = target.seen();
    let (host, stays) = (target.host.at, vms);
    let prepared = Prepared::new(steps, seen, move |call| {
        let mut args = Object::args().with("timeout", seconds);
        if evacuate {
            args = args.with("evacuatePoweredOffVms", true);
        }
        let bounded = bounded(call, seconds);
        let method = "EnterMaintenanceMode_Task";
        let doing = "entering maintenance mode";
        task::run(&it.session, &bounded, &host, method, &args, None, doing).map_err(|error| {
            match error.fault_name() {
                Some("Timedout") => Error::new(
                    Kind::Busy,
                    match stays.is_empty() {
                        true => format!("the host waited {seconds} s in vain"),
                        false => format!("the host waited {seconds} s in vain; it had {stays}"),
                    },
                )
                .fault("Timedout")
                .hint("Stop or move what runs there, then try again; timeout_seconds waits longer"),
                _ => error,
            }
        })?;
        Ok(vec!["entered maintenance mode".to_owned()])
    });
    Ok((name, prepared))
}

/// Prepares to take a host out of maintenance mode; with its name.
pub fn exit<'a>(
    it: &'a Vsphere,
    call: &Call,
    wanted: Option<&str>,
    seconds: i64,
) -> Result<(String, Prepared<'a>)> {
    let host = find(it, call, wanted, PATHS)?;
    let name = host.name.clone();
    if host.row.flag("runtime.inMaintenanceMode") == Some(false) {
        return Ok((name, Prepared::already("not in maintenance mode, as asked")));
    }
    let step = format!("`{name}` leaves maintenance mode, and VMs may run on it again");
    let seen = format!("{} in maintenance", host.at.id);
    let prepared = Prepared::new(vec![step], seen, move |call| {
        let args = Object::args().with("timeout", seconds);
        let bounded = bounded(call, seconds);
        let method = "ExitMaintenanceMode_Task";
        let doing = "leaving maintenance mode";
        task::run(&it.session, &bounded, &host.at, method, &args, None, doing)?;
        Ok(vec!["left maintenance mode".to_owned()])
    });
    Ok((name, prepared))
}

/// The host gives up by itself; we wait a little longer, so that its own reason is heard.
fn bounded(call: &Call, seconds: i64) -> Call {
    let wait = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    call.clone().within(wait.saturating_add(GRACE))
}

/// Prepares to reboot a host or to shut it down; with its name.
pub fn restart<'a>(
    it: &'a Vsphere,
    call: &Call,
    wanted: Option<&str>,
    force: bool,
    down: bool,
) -> Result<(String, Prepared<'a>)> {
    let target = target(it, call, wanted)?;
    let (name, vms) = (target.name().to_owned(), target.vms());
    let free = target.running.is_empty();
    let ready = free && target.maintenance;
    if !force && !ready {
        let said = match (free, target.maintenance) {
            (true, _) => format!("`{name}` is not in maintenance mode"),
            (false, _) => format!("`{name}` has {vms}"),
        };
        return Err(Error::new(Kind::Conflict, said).hint(
            "enter_maintenance_mode first; force=true does it anyway and cuts running VMs off",
        ));
    }
    let mut losses: Vec<String> = Vec::new();
    if !free {
        losses.push(format!("what these have not written to their disks: {vms}"));
    }
    let standalone = target.mover == Mover::Standalone;
    let mut steps = vec![match down {
        true => format!("`{name}` is shut down"),
        false => format!("`{name}` is rebooted, and is away for some minutes"),
    }];
    if down {
        losses.push(format!(
            "`{name}` itself, until somebody switches it on: at its button or its management controller"
        ));
    }
    if standalone {
        steps.push("this connection ends with it".to_owned());
    }
    let seen = target.seen();
    let (host, shown) = (target.host.at, name.clone());
    let prepared = Prepared::new(steps, seen, move |call| {
        let method = if down { "ShutdownHost_Task" } else { "RebootHost_Task" };
        let args = Object::args().with("force", force);
        let (doing, done) = match down {
            true => ("shutting the host down", "shutdown begun"),
            false => ("rebooting the host", "reboot begun; list_hosts tells when it is back"),
        };
        let result = task::run(&it.session, call, &host, method, &args, None, doing);
        match result {
            Ok(_) => Ok(vec![done.to_owned()]),
            Err(error) if standalone && is_its_end(&error) => {
                crate::logging::info!("{shown} has gone while we waited: {error}");
                Ok(vec![done.to_owned()])
            }
            Err(error) => Err(error),
        }
    });
    Ok((name, prepared.losing(losses)))
}

/// The host that we are connected to went down before it told that the task was done: the connection broke while the task
/// ran, or the task was forgotten with everything else. Unverified: what a real host answers last.
fn is_its_end(error: &Error) -> bool {
    let gone = error.fault_name() == Some("ManagedObjectNotFound");
    (error.kind() == Kind::Network && task::goes_on(error)) || gone
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vim::value::Value;

    #[test]
    fn only_full_automation_moves_machines_away() {
        let cluster = |hosts: usize, on: bool, how: Option<&str>| {
            let host = |it: usize| Value::from(&Ref::new("HostSystem", format!("host-{it}")));
            let mut values = vec![
                ("host", Value::List((0..hosts).map(host).collect())),
                ("configuration.drsConfig.enabled", Value::from(on)),
            ];
            values.extend(
                how.map(|it| ("configuration.drsConfig.defaultVmBehavior", Value::from(it))),
            );
            mover(Some(&Row::made("ClusterComputeResource", "domain-c7", &values)))
        };
        let full = Some("fullyAutomated");
        assert!(cluster(2, true, full) == Mover::Drs);
        assert!(cluster(2, true, Some("partiallyAutomated")) == Mover::Advice);
        assert!(cluster(2, true, Some("manual")) == Mover::Advice);
        assert!(cluster(1, true, full) == Mover::Nobody, "nowhere to go");
        assert!(cluster(2, false, full) == Mover::Nobody);
        assert!(mover(None) == Mover::Nobody);
    }

    #[test]
    fn two_running_machines_of_one_name_are_two() {
        let machine = |id: &'static str, state: &str| {
            let values = [("name", "a%2fb".into()), ("runtime.powerState", state.into())];
            Row::made("VirtualMachine", id, &values)
        };
        let rows =
            [machine("1", "poweredOn"), machine("2", "poweredOn"), machine("3", "poweredOff")];
        assert_eq!(list(&running(&rows)), "2 running VMs: a/b, a/b");
    }

    #[test]
    fn a_long_list_is_cut() {
        let names = |count: usize| (0..count).map(|it| format!("vm{it}")).collect::<Vec<_>>();
        assert_eq!(list(&names(1)), "1 running VM: vm0");
        assert!(list(&names(21)).ends_with("vm19, ..."));
    }
}
