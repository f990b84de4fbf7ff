//! Virtual switches and port groups of a host.
//!
//! A port group is a network of the inventory as well: that appears and goes with it. Surprising:
//! on a vCenter the hosts share networks by name, so one goes only with the last port group.

use crate::sim::fault::{Fault, Result};
use crate::sim::host::{already_exists, in_use, inside, item, list, nothing, stored};
use crate::sim::machine::networks;
use crate::sim::rows::{Call, Family, Method, Property, Run};
use crate::sim::world::{Plain, World};
use crate::vim::value::{Object, Ref, Value};

const SWITCH: &str = "key-vim.host.VirtualSwitch-";
const GROUP: &str = "key-vim.host.PortGroup-";
const CARD: &str = "key-vim.host.PhysicalNic-";
/// Switches and port groups of one host.
const MOST: usize = 512;

/// A list of the network's state, to be changed.
fn all<'a>(world: &'a mut World, call: &Call, name: &'static str) -> Result<&'a mut Vec<Value>> {
    list(inside(world, &call.this.id, &["networkInfo"])?, name)
}

/// The network's state.
fn state(world: &World, call: &Call) -> Value {
    stored(world, &call.this.id, "networkInfo").unwrap_or(Value::Null)
}

fn name_of<'a>(call: &'a Call, parameter: &str) -> Result<&'a str> {
    let name = call.args.text(parameter).unwrap_or_default();
    match name.trim().is_empty() || name.len() > 256 {
        true => Err(Fault::invalid_argument(parameter)),
        false => Ok(name),
    }
}

fn full(items: &[Value]) -> Result<()> {
    match items.len() >= MOST {
        true => Err(Fault::new("LimitExceeded", "Too many objects on this host.")),
        false => Ok(()),
    }
}

// ---- switches ----

/// Puts a specification into a switch; its cards must be there and free.
fn specify(world: &World, call: &Call, switch: &mut Object, spec: &Object) -> Result<()> {
    let state = state(world, call);
    let own = switch.text("key").unwrap_or_default().to_owned();
    let mut cards = Vec::new();
    for device in spec.texts("bridge.nicDevice") {
        let key = format!("{CARD}{device}");
        if !state.objects("pnic").any(|it| it.text("device") == Some(device)) {
            return Err(Fault::invalid_argument("spec.bridge.nicDevice"));
        }
        let taken =
            |it: &Object| it.text("key") != Some(&own) && it.texts("pnic").any(|it| it == key);
        if state.objects("vswitch").any(taken) {
            return Err(in_use(device));
        }
        cards.push(key);
    }
    let mtu = spec.int("mtu").unwrap_or(1500);
    if !(1280..=9190).contains(&mtu) {
        return Err(Fault::invalid_argument("spec.mtu"));
    }
    if !(0..=4088).contains(&spec.int("numPorts").unwrap_or(0)) {
        return Err(Fault::invalid_argument("spec.numPorts"));
    }
    let mut kept = switch.object("spec").cloned().unwrap_or(Object::new("HostVirtualSwitchSpec"));
    kept.remove("bridge");
    for (name, value) in spec.fields() {
        kept.set(name, value);
    }
    switch.set("mtu", mtu);
    switch.set("pnic", cards);
    switch.set("spec", kept);
    Ok(())
}

fn add_switch(world: &mut World, call: &Call) -> Result<Value> {
    let name = name_of(call, "vswitchName")?;
    // unverified: the longest name of a switch.
    if name.len() > 31 {
        return Err(Fault::invalid_argument("vswitchName"));
    }
    if state(world, call).objects("vswitch").any(|it| it.text("name") == Some(name)) {
        return Err(already_exists(name));
    }
    let mut switch = Object::new("HostVirtualSwitch")
        .with("name", name)
        .with("key", format!("{SWITCH}{name}"))
        .with("numPorts", 9840)
        .with("numPortsAvailable", 9822)
        .with("portgroup", Value::List(Vec::new()));
    let plain = Object::new("HostVirtualSwitchSpec").with("numPorts", 128).with("mtu", 1500);
    specify(world, call, &mut switch, call.args.object("spec").unwrap_or(&plain))?;
    let switches = all(world, call, "vswitch")?;
    full(switches)?;
    switches.push(switch.into());
    Ok(Value::Null)
}

fn update_switch(world: &mut World, call: &Call) -> Result<Value> {
    let name = name_of(call, "vswitchName")?;
    let mut switch =
        item(all(world, call, "vswitch")?, "name", name).ok_or_else(Fault::not_found)?.clone();
    if let Some(spec) = call.args.object("spec") {
        specify(world, call, &mut switch, spec)?;
    }
    if let Some(kept) = item(all(world, call, "vswitch")?, "name", name) {
        *kept = switch;
    }
    Ok(Value::Null)
}

fn remove_switch(world: &mut World, call: &Call) -> Result<Value> {
    let name = name_of(call, "vswitchName")?;
    let state = state(world, call);
    if !state.objects("vswitch").any(|it| it.text("name") == Some(name)) {
        return Err(Fault::not_found());
    }
    let own = state.objects("portgroup").filter(|it| it.text("spec.vswitchName") == Some(name));
    let groups: Vec<&str> = own.filter_map(|it| it.text("spec.name")).collect();
    if groups.iter().any(|it| needed(world, &state, it)) {
        return Err(in_use(name));
    }
    for group in &groups {
        drop_network(world, &call.this.id, group);
    }
    all(world, call, "portgroup")?.retain(|it| it.text("spec.vswitchName") != Some(name));
    all(world, call, "vswitch")?.retain(|it| it.text("name") != Some(name));
    Ok(Value::Null)
}

// ---- port groups ----

fn network(world: &World, name: &str) -> Option<String> {
    let found = world.all("Network").find(|(_, props)| props.text("name") == Some(name));
    found.filter(|(id, _)| world.kind_of(id) == Some("Network")).map(|(id, _)| id.to_owned())
}

/// Whether a machine or a kernel port is on this port group.
fn needed(world: &World, state: &Value, group: &str) -> bool {
    let ports = state.objects("vnic").any(|it| it.text("portgroup") == Some(group));
    ports
        || network(world, group).is_some_and(|id| {
            world.machines.values().any(|it| networks(it, world).iter().any(|it| it.id == id))
        })
}

/// The network of a port group, made if no host had it.
fn make_network(world: &mut World, name: &str) {
    if network(world, name).is_some() {
        return;
    }
    let id = match world.vcenter {
        true => format!("network-{}", world.number()),
        false => format!("HaNetwork-{name}"),
    };
    let folder =
        world.all("Datacenter").find_map(|(_, props)| props.reference("networkFolder").cloned());
    let summary = Object::new("NetworkSummary")
        .with("network", Ref::new("Network", id.as_str()))
        .with("name", name)
        .with("accessible", true)
        .with("ipPoolName", "");
    let props = Object::new("Network")
        .with_some("parent", folder)
        .with("name", name)
        .with("summary", summary)
        .with("overallStatus", "green");
    world.plain.insert(id, Plain { kind: "Network", props });
    world.touch();
}

/// Takes a network away, unless another host has a port group of that name.
fn drop_network(world: &mut World, manager: &str, name: &str) {
    let has = |props: &Object| {
        props.objects("networkInfo.portgroup").any(|it| it.text("spec.name") == Some(name))
    };
    let shared = world.all("HostNetworkSystem").any(|(id, props)| id != manager && has(props));
    if let (false, Some(id)) = (shared, network(world, name)) {
        world.plain.remove(&id);
        world.touch();
    }
}

/// A port group out of its specification, checked.
fn group(call: &Call, state: &Value) -> Result<Object> {
    let spec = call.args.object("portgrp").ok_or_else(Fault::not_found)?;
    let (name, switch) = (spec.text("name"), spec.text("vswitchName").unwrap_or_default());
    let name = name.filter(|it| !it.trim().is_empty() && it.len() <= 256);
    let name = name.ok_or_else(|| Fault::invalid_argument("portgrp.name"))?;
    if !(0..=4095).contains(&spec.int("vlanId").unwrap_or(0)) {
        return Err(Fault::invalid_argument("portgrp.vlanId"));
    }
    if !state.objects("vswitch").any(|it| it.text("name") == Some(switch)) {
        return Err(Fault::not_found());
    }
    Ok(Object::new("HostPortGroup")
        .with("key", format!("{GROUP}{name}"))
        .with("vswitch", format!("{SWITCH}{switch}"))
        .with_some("computedPolicy", spec.get("policy"))
        .with("spec", spec))
}

/// Which port groups a switch has follows from the port groups.
fn relink(world: &mut World, call: &Call) -> Result<()> {
    let state = state(world, call);
    for switch in all(world, call, "vswitch")? {
        let Value::Object(switch) = switch else { continue };
        let own = state.objects("portgroup").filter(|it| it.get("vswitch") == switch.get("key"));
        let own: Vec<&str> = own.filter_map(|it| it.text("key")).collect();
        switch.set("portgroup", own);
    }
    Ok(())
}

fn add_group(world: &mut World, call: &Call) -> Result<Value> {
    let group = group(call, &state(world, call))?;
    let name = group.text("spec.name").unwrap_or_default().to_owned();
    let groups = all(world, call, "portgroup")?;
    if item(groups, "spec.name", &name).is_some() {
        return Err(already_exists(&name));
    }
    full(groups)?;
    groups.push(group.into());
    make_network(world, &name);
    relink(world, call)?;
    Ok(Value::Null)
}

fn update_group(world: &mut World, call: &Call) -> Result<Value> {
    let old = name_of(call, "pgName")?;
    let state = state(world, call);
    if !state.objects("portgroup").any(|it| it.text("spec.name") == Some(old)) {
        return Err(Fault::not_found());
    }
    let group = group(call, &state)?;
    let name = group.text("spec.name").unwrap_or_default().to_owned();
    if name != old {
        if state.objects("portgroup").any(|it| it.text("spec.name") == Some(&name)) {
            return Err(already_exists(&name));
        }
        // unverified: whether a host renames a port group that somebody is on.
        if needed(world, &state, old) {
            return Err(in_use(old));
        }
    }
    if let Some(kept) = item(all(world, call, "portgroup")?, "spec.name", old) {
        *kept = group;
    }
    if name != old {
        drop_network(world, &call.this.id, old);
        make_network(world, &name);
    }
    relink(world, call)?;
    Ok(Value::Null)
}

fn remove_group(world: &mut World, call: &Call) -> Result<Value> {
    let name = name_of(call, "pgName")?;
    let state = state(world, call);
    if !state.objects("portgroup").any(|it| it.text("spec.name") == Some(name)) {
        return Err(Fault::not_found());
    }
    if needed(world, &state, name) {
        return Err(in_use(name));
    }
    all(world, call, "portgroup")?.retain(|it| it.text("spec.name") != Some(name));
    drop_network(world, &call.this.id, name);
    relink(world, call)?;
    Ok(Value::Null)
}

const fn on(name: &'static str, run: Run) -> Method {
    Method { on: "HostNetworkSystem", name, run }
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        on("AddVirtualSwitch", add_switch),
        on("UpdateVirtualSwitch", update_switch),
        on("RemoveVirtualSwitch", remove_switch),
        on("AddPortGroup", add_group),
        on("UpdatePortGroup", update_group),
        on("RemovePortGroup", remove_group),
        on("RefreshNetworkSystem", nothing),
    ],
    properties: &[
        Property {
            on: "HostNetworkSystem",
            name: "dnsConfig",
            get: |world, id| stored(world, id, "networkInfo")?.get("dnsConfig").cloned(),
        },
        Property {
            on: "HostNetworkSystem",
            name: "ipRouteConfig",
            get: |world, id| stored(world, id, "networkInfo")?.get("ipRouteConfig").cloned(),
        },
    ],
};
