//! What clients see of the tools: the rows against the contract, the listing against its goldens
//! and its budget in bytes.
//!
//! People have scripts and policies against names, arguments, levels and hints, so those of
//! [`CONTRACT`] never change; everything else of a row may, and shows up as a diff of a golden
//! (`UPDATE=1 cargo test --test surface` rewrites them).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use jumpvisor::text::json::{self, Value};
use jumpvisor::tools::args::{Arg, COMMON, Default, Kind};
use jumpvisor::tools::offer::Offer;
use jumpvisor::tools::{self, Effect, FAMILIES, Level, OLDER_NAMES, Tool, schema};

/// Family, then a tool a line: name | arguments | level | hints. `*` is required, `=value` the
/// default, `[s]` a list, `i` and `b` a whole number and a switch, anything else a text. R reads
/// only, D destroys, I may be repeated. More optional arguments than these are allowed.
/// `call_api` is let in at read and asks for admin within, for all but the reviewed list of reads.
/// `name` beside `names[s]` is not required: exactly one of the two is, which the row checks.
const CONTRACT: &str = "
vm
list_vms | name power_state folder limit:i=100 offset:i=0 no_cache:b=false | read | R
get_vm_info | name* | read | R
create_vm | name* cpu:i=2 memory_mb:i=4096 disk_gb:i=20 datastore network guest_id=otherGuest64 iso_path iso_datastore boot_from_iso:b=true firmware=bios secure_boot:b tpm:b | vm |
clone_vm | template_name* new_name* power_on:b=false datastore folder linked:b=false | vm |
delete_vm | name* | vm | D
reconfigure_vm | name* cpu:i memory_mb:i annotation nested_virtualization:b cpu_hot_add:b memory_hot_add:b | vm | I
rename_vm | name* new_name* | vm | I
set_boot_order | name* order*[s] | vm | D I
register_vm | path* name | vm |
unregister_vm | name* | vm | D
answer_vm_question | name* choice | power |
power
power_on | name names[s] | power | I
power_off | name names[s] | power | D I
shutdown_guest | name names[s] | power | D I
reboot_guest | name names[s] | power | D
standby_guest | name names[s] | power | I
reset_vm | name names[s] | power | D
suspend_vm | name names[s] | power | I
snapshot
list_snapshots | name* | read | R
create_snapshot | name names[s] snapshot_name* description memory:b=true quiesce:b=false | power |
revert_to_snapshot | name* snapshot_name* | power | D
revert_to_current_snapshot | name* | power | D
delete_snapshot | name* snapshot_name* remove_children:b=false | power | D I
delete_all_snapshots | name* | power | D I
rename_snapshot | name* snapshot_name* new_name new_description | power | I
guest
run_command_in_guest | name* username password credential command* arguments working_directory wait_for_completion:b=true capture_output:b=true | admin | D
list_guest_processes | name* username password credential | admin | R
kill_guest_process | name* username password credential pid*:i | admin | D
read_guest_file | name* username password credential guest_path* save_to | admin | R
write_guest_file | name* username password credential guest_path* content local_path overwrite:b=true | admin | D I
list_guest_directory | name* username password credential guest_path* | admin | R
create_guest_directory | name* username password credential guest_path* create_parents:b=true | admin | I
delete_guest_file | name* username password credential guest_path* | admin | D I
console
vm_screenshot | name* width:i height:i | read | R
send_keys | name* text keys[s] | admin |
wait_for_vm_tools | name* timeout:i=120 poll_interval:i=5 | read | R
get_vm_tools_status | name* | read | R
get_console_url | name* | power |
serial
get_serial_port | name* | read | R
setup_serial_port | name* protocol=telnet port:i direction=server yield_on_poll:b=true via=direct | vm | I
connect_serial_port | name* connected:b=true | vm | I
clear_serial_port | name* | vm | I
remove_serial_port | name* | vm | D I
list_serial_consoles | | read | R
read_serial | name* since:i max_bytes:i=65536 wait_seconds:i=0 | power | R
write_serial | name* text* newline:b=true | admin | D
expect_serial | name* pattern* send | admin | D
disk
list_disks | vm_name* disk_label | read | R
add_disk | vm_name* size_gb*:i thin_provisioned:b=true datastore | vm |
remove_disk | vm_name* disk_label* delete_file:b=false | vm | D
extend_disk | vm_name* disk_label* new_size_gb*:i | vm |
add_cdrom | vm_name* iso_path iso_datastore boot_from_iso:b=false | vm |
attach_iso | vm_name* iso_path* datastore cdrom_index:i=0 | vm |
detach_iso | vm_name* | vm | I
nic
list_nics | vm_name* nic_label | read | R
add_nic | vm_name* network* nic_type=vmxnet3 start_connected:b=true | vm |
remove_nic | vm_name* nic_label* | vm | D
change_nic_network | vm_name* nic_label* new_network* | vm |
connect_nic | vm_name* nic_label* connected:b=true | power | I
set_nic_mac | vm_name* nic_label* mac_address* | vm |
ova
inspect_ova | ova_path* | read | R
deploy_ova | ova_path* vm_name* datastore network network_map:o power_on:b=false disk_provisioning=thin deployment_option properties:o iso_path iso_datastore boot_from_iso:b=true verify:b=true mode=push accept_licenses:b=false | vm |
deploy_ovf | ovf_path* vm_name* datastore network power_on:b=false | vm |
list_ovf_networks | ovf_path* datastore | read | R
export_vm_ovf | vm_name* target_path* datastore format | vm |
datastore
download_from_datastore | datastore* path* save_to max_memory_mb:i=50 | vm | R
upload_to_datastore | datastore* remote_path* local_path content_base64 url | vm | D I
get_datastore_info | name* | read | R
browse_datastore | datastore* path recursive:b=false pattern | read | R
delete_datastore_file | datastore* path* | vm | D I
create_datastore_folder | datastore* path* | vm | I
move_datastore_file | source_datastore* source_path* dest_datastore dest_path force:b=false | vm | D
copy_datastore_file | source_datastore* source_path* dest_datastore dest_path force:b=false | vm | D
host
list_hosts | | read | R
get_host_info | host_name | read | R
get_host_hardware | host_name | read | R
get_host_networking | host_name | read | R
get_host_stats | host_name | read | R
list_services | host_name | read | R
get_service_status | service_key* host_name | read | R
start_service | service_key* host_name | admin | D
stop_service | service_key* host_name | admin | D
restart_service | service_key* host_name | admin | D
set_service_policy | service_key* policy* host_name | host | D
list_firewall_rules | host_name | read | R
set_firewall_rule | ruleset* enabled*:b host_name | host | D I
get_ntp_config | host_name | read | R
configure_ntp | ntp_servers*[s] start_service:b=true host_name | host | D
enter_maintenance_mode | evacuate_vms:b=true host_name | host | D
exit_maintenance_mode | host_name | host | D
reboot_host | force:b=false host_name | host | D
shutdown_host | force:b=false host_name | host | D
monitor
get_vm_stats | name* interval counters[s] | read | R
list_recent_tasks | max_count:i=20 entity_name | read | R
list_recent_events | max_count:i=50 event_types[s] hours_back:i=24 entity_name | read | R
get_alarms | | read | R
cancel_task | task_id* | vm | D I
vcenter
get_vcenter_info | | read | R
get_network_info | name* | read | R
get_resource_pool_info | name | read | R
list_templates | | read | R
list_folders | | read | R
list_clusters | | read | R
get_cluster_info | name* | read | R
list_resource_pools | | read | R
list_tags | | read | R
get_vm_tags | name* | read | R
get_drs_recommendations | cluster_name* | read | R
convert_to_template | vm_name* | vm | D I
convert_to_vm | template_name* resource_pool | vm | D I
deploy_from_template | template_name* new_vm_name* datastore power_on:b=false customization | vm |
create_folder | folder_name* parent_path | vm |
delete_folder | folder_path* | vm | D
move_vm_to_folder | vm_name* folder_path* | vm |
move_vm_to_resource_pool | vm_name* pool* | vm |
create_resource_pool | name* parent | vm |
delete_resource_pool | name* | vm | D
apply_tag_to_vm | vm_name* tag* category | vm | I
remove_tag_from_vm | vm_name* tag* category | vm | D I
migrate_vm | vm_name* target_host target_datastore | vm | D
storage_vmotion | vm_name* target_datastore* thin_provision:b | vm | D
move_vm_disk | vm_name* disk_label* target_datastore* | vm | D
api
search_api | query* | read | R
describe_api | name* | read | R
get_object | type* id path properties[s] | read | R
call_api | object* method* arguments:o | read | D
server
list_servers | | read | R
get_metrics | | read | R
";

/// Older name and the tool that it stands for; those whose tool is not built yet are not answered.
const OLDER: &[(&str, &str)] = &[
    ("power_on_vm", "power_on"),
    ("power_off_vm", "power_off"),
    ("resize_disk", "extend_disk"),
    ("export_ovf", "export_vm_ovf"),
    ("get_disk_info", "list_disks"),
    ("get_nic_info", "list_nics"),
    ("get_recent_tasks", "list_recent_tasks"),
    ("get_recent_events", "list_recent_events"),
    ("connect_serial_console", "read_serial"),
];

/// Families that are offered without being asked for, of those that are built.
const DEFAULT_FAMILIES: &[&str] = &["vm", "power", "snapshot", "console", "ova", "server"];

/// Arguments whose name says all; any other needs a description.
const SELF_EXPLAINING: &[&str] = &[
    "annotation",
    "boot_from_iso",
    "connected",
    "cpu",
    "cpu_hot_add",
    "cpu_limit_mhz",
    "cpu_reservation_mhz",
    "description",
    "disk_gb",
    "firmware",
    "iso_datastore",
    "limit",
    "memory_hot_add",
    "memory_limit_mb",
    "memory_mb",
    "memory_reservation_mb",
    "name",
    "nested_virtualization",
    "new_description",
    "new_name",
    "new_vm_name",
    "nic_type",
    "offset",
    "power_on",
    "protocol",
    "remove_children",
    "size_gb",
    "snapshot_name",
    "start_connected",
    "target_datastore",
    "thin_provisioned",
];

/// Bytes of `tools/list`; every byte costs each conversation.
const DEFAULT_BUDGET: usize = 30_000;
const WHOLE_BUDGET: usize = 100_000;

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').filter(|it| !it.is_empty())
}

/// An argument as the contract writes it.
fn written(arg: &Arg) -> String {
    let kind = match arg.kind {
        Kind::Flag => ":b",
        Kind::Int { .. } => ":i",
        Kind::Object => ":o",
        Kind::Texts => "[s]",
        Kind::Choice(_) | Kind::Text => "",
    };
    let default = match arg.default {
        Default::None => String::new(),
        Default::Flag(flag) => format!("={flag}"),
        Default::Int(number) => format!("={number}"),
        Default::Text(text) => format!("={text}"),
    };
    let star = if arg.required { "*" } else { "" };
    format!("{}{star}{kind}{default}", arg.name)
}

fn level(tool: &Tool) -> &'static str {
    match tool.level {
        Level::Read => "read",
        Level::Power => "power",
        Level::Vm => "vm",
        Level::Host => "host",
        Level::Admin => "admin",
    }
}

/// What only reads may always be repeated, so I is not written beside R.
fn hints(tool: &Tool) -> &'static str {
    match (tool.effect, tool.idempotent) {
        (Effect::Reads, true) => "R",
        (Effect::Reads, false) => "R, but not to be repeated",
        (Effect::Changes, false) => "",
        (Effect::Changes, true) => "I",
        (Effect::Destroys, false) => "D",
        (Effect::Destroys, true) => "D I",
    }
}

#[test]
fn the_rows_are_the_contract() {
    let mut wrong = Vec::new();
    let (mut family, mut seen) = ("", BTreeSet::new());
    for line in CONTRACT.trim().lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [name, args, wanted_level, wanted_hints] = cells[..] else {
            family = line;
            continue;
        };
        seen.insert(name);
        let Some((of, tool)) = tools::find(name) else {
            wrong.push(format!("{name}: there is no such tool"));
            continue;
        };
        let is = |what: &str, is: &str, should: &str, wrong: &mut Vec<String>| {
            if is != should {
                wrong.push(format!("{name}: {what} is `{is}`, by contract `{should}`"));
            }
        };
        is("its family", of.name, family, &mut wrong);
        is("its level", level(tool), wanted_level, &mut wrong);
        is("its hints", hints(tool), wanted_hints, &mut wrong);
        let own: Vec<String> = tool.args.iter().map(written).collect();
        for wanted in words(args).filter(|wanted| !own.iter().any(|it| it == wanted)) {
            wrong.push(format!("{name}: no `{wanted}` among {}", own.join(" ")));
        }
        for arg in tool.args.iter().filter(|it| it.required) {
            if !words(args).any(|it| it == written(arg)) {
                wrong.push(format!("{name}: `{}` may not be required", arg.name));
            }
        }
    }
    for (_, tool) in tools::all().filter(|(_, tool)| !seen.contains(tool.name)) {
        wrong.push(format!("{}: not in the contract that this test holds", tool.name));
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn older_names_are_answered_and_never_listed() {
    for (older, now) in OLDER.iter().filter(|(_, now)| tools::find(now).is_some()) {
        assert_eq!(tools::find(older).map(|(_, tool)| tool.name), Some(*now), "{older}");
        assert!(Offer::everything().list().all(|tool| tool.name != *older), "{older} is listed");
    }
    for pair in OLDER_NAMES {
        assert!(OLDER.contains(pair), "{pair:?} is not in the contract");
        assert!(tools::find(pair.1).is_some(), "{pair:?} stands for nothing");
    }
}

#[test]
fn the_families_that_nobody_must_ask_for() {
    for family in FAMILIES {
        let wanted = DEFAULT_FAMILIES.contains(&family.name);
        assert_eq!(family.default, wanted, "family {}", family.name);
    }
}

#[test]
fn every_row_is_named_and_told() {
    let mut names: BTreeSet<&str> = OLDER_NAMES.iter().map(|(older, _)| *older).collect();
    let mut wrong = Vec::new();
    let legal = |name: &str| {
        name.starts_with(|it: char| it.is_ascii_lowercase())
            && name.len() <= 64
            && name.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_')
    };
    for (_, tool) in tools::all() {
        let mut say = |what: String| wrong.push(format!("{}: {what}", tool.name));
        if !legal(tool.name) || !tool.name.contains('_') {
            say("a tool's name is verb_noun in [a-z0-9_]".to_owned());
        }
        if !names.insert(tool.name) {
            say("two tools of this name".to_owned());
        }
        if tool.title.is_empty() || tool.title.len() > 40 || tool.title.ends_with('.') {
            say(format!("the title `{}`", tool.title));
        }
        if !tool.about.ends_with('.') || tool.about.chars().count() > 160 {
            let length = tool.about.chars().count();
            say(format!("about has {length} characters of 160, and ends in a full stop"));
        }
        let mut own = BTreeSet::new();
        for arg in tool.args {
            if !own.insert(arg.name) || COMMON.iter().any(|it| it.name == arg.name) {
                say(format!("argument `{}` comes twice", arg.name));
            }
            if !legal(arg.name) {
                say(format!("argument `{}` is not in [a-z0-9_]", arg.name));
            }
            if arg.about.is_empty() && !SELF_EXPLAINING.contains(&arg.name) {
                say(format!("argument `{}` wants a word of help", arg.name));
            }
            if arg.about.ends_with('.') || arg.about.chars().count() > 100 {
                say(format!("the help of `{}` is a phrase of 100 characters at most", arg.name));
            }
            if arg.required && arg.default != Default::None {
                say(format!("`{}` is required and has a default", arg.name));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// Some clients refuse a whole list for one schema that is out of the ordinary.
#[test]
fn schemas_are_of_the_plain_kind() {
    for (_, tool) in tools::all() {
        let Ok(Value::Object(row)) = json::parse(&schema::tool(tool)) else {
            panic!("{}: the listing is not a JSON object", tool.name)
        };
        let hints = json::get_object(&row, "annotations").expect(tool.name);
        for hint in ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"] {
            assert!(matches!(hints.get(hint), Some(Value::Bool(_))), "{}: {hint}", tool.name);
        }
        let input = json::get_object(&row, "inputSchema").expect(tool.name);
        assert_eq!(json::get_text(input, "type"), Some("object"), "{}", tool.name);
        for odd in ["anyOf", "oneOf", "allOf", "not", "$ref"] {
            assert!(!input.contains_key(odd), "{}: {odd} at the top", tool.name);
        }
        let properties = json::get_object(input, "properties").expect(tool.name);
        if let Some(Value::Array(required)) = input.get("required") {
            assert!(!required.is_empty(), "{}: required is empty", tool.name);
            for name in required.iter() {
                let Value::String(name) = name else { panic!("{}", tool.name) };
                assert!(properties.contains_key(name), "{}: {name}", tool.name);
            }
        }
    }
}

#[test]
fn the_listing_stays_within_its_budget() {
    let listing = |tools: &mut dyn Iterator<Item = &'static Tool>| -> usize {
        let rows: Vec<String> = tools.map(schema::tool).collect();
        format!("{{\"tools\":[{}]}}", rows.join(",")).len()
    };
    for family in FAMILIES {
        let size = listing(&mut family.shelves.iter().flat_map(|shelf| shelf.iter()));
        let count: usize = family.shelves.iter().map(|shelf| shelf.len()).sum();
        println!("{}: {size} bytes, {count} tools", family.name);
    }
    let usual = listing(&mut Offer::default().list());
    let whole = listing(&mut Offer::everything().list());
    println!("default: {usual} of {DEFAULT_BUDGET}; all: {whole} of {WHOLE_BUDGET}");
    assert!(usual <= DEFAULT_BUDGET, "the default set takes {usual} bytes");
    assert!(whole <= WHOLE_BUDGET, "all tools take {whole} bytes");
}

fn goldens() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tools")
}

/// The same JSON, a member a line, in its own order.
fn pretty(text: &str) -> String {
    let (mut out, mut depth, mut quoted, mut escaped) = (String::new(), 0, false, false);
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    let mut rest = text.chars().peekable();
    while let Some(it) = rest.next() {
        if quoted {
            quoted = escaped || it != '"';
            escaped = it == '\\' && !escaped;
            out.push(it);
            continue;
        }
        match it {
            '{' | '[' => {
                out.push(it);
                depth += 1;
                if !matches!(rest.peek(), Some('}' | ']')) {
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth -= 1;
                if !out.ends_with(['{', '[']) {
                    line(&mut out, depth);
                }
                out.push(it);
            }
            ',' => {
                out.push(it);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            '"' => {
                quoted = true;
                out.push(it);
            }
            it => out.push(it),
        }
    }
    out.push('\n');
    out
}

#[test]
fn the_listing_is_the_one_that_was_agreed_on() {
    let (folder, update) = (goldens(), std::env::var_os("UPDATE").is_some());
    let mut wrong = Vec::new();
    let mut known = BTreeSet::new();
    for (_, tool) in tools::all() {
        let path = folder.join(format!("{}.json", tool.name));
        let now = pretty(&schema::tool(tool));
        known.insert(path.clone());
        if update {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, now).unwrap();
            continue;
        }
        match fs::read_to_string(&path) {
            Ok(agreed) if agreed == now => {}
            Ok(_) => wrong.push(format!("{} is listed otherwise", tool.name)),
            Err(_) => wrong.push(format!("{} has no golden", tool.name)),
        }
    }
    for entry in fs::read_dir(&folder).expect("tests/golden/tools") {
        let path = entry.unwrap().path();
        match (known.contains(&path), update) {
            (true, _) => {}
            (false, true) => fs::remove_file(&path).unwrap(),
            (false, false) => wrong.push(format!("{} is of no tool", path.display())),
        }
    }
    let next = "see the diff after `UPDATE=1 cargo test --test surface`";
    assert!(wrong.is_empty(), "\n{}\n{next}\n", wrong.join("\n"));
}
