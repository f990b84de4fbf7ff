//! The vApp part of a machine: products and properties that came with an OVF.
//!
//! A specification lists additions, edits and removals; the configuration keeps what is left.

use crate::vim::value::{Object, Value};

/// Puts `vAppConfig` of a specification into a configuration.
pub fn merge(config: &mut Object, spec: &Object) {
    if spec.flag("vAppConfigRemoved") == Some(true) {
        config.remove("vAppConfig");
        return;
    }
    let Some(asked) = spec.object("vAppConfig") else { return };
    let mut kept = match config.object("vAppConfig") {
        Some(it) => it.clone(),
        None => Object::new("VmConfigInfo")
            .with(
                "ipAssignment",
                Object::new("VAppIPAssignmentInfo").with("ipAllocationPolicy", "fixedPolicy"),
            )
            .with("installBootRequired", false)
            .with("installBootStopDelay", 0),
    };
    for (name, value) in asked.fields() {
        match name {
            "product" | "property" | "ovfSection" => {
                let mut all: Vec<Value> = kept.list(name).to_vec();
                for it in value.items() {
                    change(&mut all, it);
                }
                kept.set(name, all);
            }
            _ => kept.set(name, value),
        }
    }
    config.set("vAppConfig", kept);
}

/// One addition, edit or removal.
fn change(all: &mut Vec<Value>, it: &Value) {
    let key = it.int("info.key").or_else(|| it.int("removeKey"));
    let place = all.iter().position(|it| it.int("key") == key);
    match (it.text("operation"), place, it.get("info")) {
        (Some("remove"), Some(at), _) => drop(all.remove(at)),
        (Some("remove"), None, _) | (_, _, None) => {}
        (_, Some(at), Some(info)) => {
            let (Value::Object(old), Some(new)) = (&mut all[at], info.as_object()) else { return };
            for (name, value) in new.fields() {
                old.set(name, value);
            }
        }
        (_, None, Some(info)) => all.push(info.clone()),
    }
}
