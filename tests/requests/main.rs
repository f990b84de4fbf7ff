//! Every request that the tools make, judged by the schema at the oldest and the newest version,
//! and the number of round trips that each tool takes.
//!
//! Each tool is driven through the gate against the public simulator, as an ESXi host and as a
//! vCenter, and every change as a dry run first. Requests over REST are counted and not judged. A
//! tool without a line in [`CALLS`] fails; so does one that takes more round trips than
//! `tests/golden/round_trips.txt` says (`UPDATE=1 cargo test --test requests` rewrites it).

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod schema;
mod simulator;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use jumpvisor::hv::call::{Call, Rights};
use jumpvisor::text::json::{self, Value};
use jumpvisor::tools;
use jumpvisor::tools::Effect;
use jumpvisor::tools::run::{Caller, Gate, Outcome};
use jumpvisor::vsphere::reads::is_read;

use schema::Schema;
use simulator::{Ear, Heard, Simulator};

const OLDEST: &str = "6.5";
const NEWEST: &str = "9.1.1.0";

/// The folder of the calls, a file a family. A file begins with `# server: public` for the public
/// simulator or `# server: own` for the one in the program, and has each server for itself.
///
/// A line is a tool and its arguments, in an order that makes sense; the first line of a tool that
/// succeeds is the one that is counted. `{a}`, `{b}` are machines that run, with tools; `{off}` one
/// that is off (`own` only); `{dc}` is the folder of machines, `{ds}` a datastore, `{tmp}` a folder
/// of this machine. `?` before a line makes the machines ask a question. Behind `!` stands what a
/// call says that must fail; where it must fail only with one model or version, that stands first.
const CALLS: &str = "tests/requests/calls";

/// No tool: what a concentrator asks to know who may dial in.
const HOSTS: &str = "Serials::hosts";

/// Machines of the own ESXi and vCenter: two that run, one that is off, folder and datastore.
const OWN: [[&str; 5]; 2] = [
    ["web01", "web02", "files01", "ha-datacenter/vm", "datastore1"],
    ["web01", "web02", "files01", "DC0/vm", "datastore1"],
];

/// Requests that open a session or a view; both are made once and then kept.
const SET_UP: &[&str] = &["RetrieveServiceContent", "Login", "Logout", "CreateContainerView"];

fn schema() -> Schema {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/vim/vim25.schema");
    Schema::read(&fs::read_to_string(path).unwrap())
}

/// What a drive has found: mistakes, and the round trips of each tool.
#[derive(Default)]
struct Found {
    wrong: Vec<String>,
    trips: BTreeMap<&'static str, usize>,
    methods: BTreeSet<String>,
}

/// The calls of every file: whether they go to the public simulator, and the lines.
fn calls() -> Vec<(bool, Vec<String>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(CALLS);
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let server = text.lines().next().unwrap().trim_start_matches("# server: ");
        assert!(["public", "own"].contains(&server), "{}: {server}", path.display());
        let lines = text.lines().filter(|it| !it.starts_with('#') && !it.is_empty());
        (server == "public", lines.map(str::to_owned).collect())
    };
    files.into_iter().map(read).collect()
}

/// A line with its marks replaced.
fn named(line: &str, names: [&str; 5]) -> String {
    let marks = ["{a}", "{b}", "{off}", "{dc}", "{ds}"];
    let line = line.replace("{tmp}", env!("CARGO_TARGET_TMPDIR"));
    marks.iter().zip(names).fold(line, |line, (mark, name)| line.replace(mark, name))
}

fn drive(schema: &Schema, model: &'static str, claimed: &'static str) -> Found {
    let mut found = Found::default();
    for (public, lines) in calls() {
        if public {
            let simulator = Simulator::start(model);
            let driven = simulator.gate(claimed);
            let names = match model {
                "esx" => ["ha-host_VM0", "ha-host_VM1", "", "ha-datacenter/vm", "LocalDS_0"],
                _ => ["DC0_H0_VM0", "DC0_H0_VM1", "", "DC0/vm", "LocalDS_0"],
            };
            drive_file(schema, model, claimed, driven, names, &lines, &mut found);
        } else {
            let names = OWN[usize::from(model == "vpx")];
            let driven = simulator::own(model == "vpx", claimed, None);
            drive_file(schema, model, claimed, driven, names, &lines, &mut found);
        }
    }
    found
}

fn drive_file(
    schema: &Schema,
    model: &str,
    claimed: &'static str,
    (gate, ear): (Gate, Arc<Ear>),
    names: [&str; 5],
    lines: &[String],
    found: &mut Found,
) {
    for line in lines {
        let line = named(line, names);
        let (call, refusal) = line.split_once(" !").unwrap_or((&line, "never "));
        let (place, said) = refusal.split_once(' ').unwrap();
        let refusal = Some(said).filter(|_| ["", model, claimed].contains(&place));
        ear.ask(call.starts_with("? "));
        let (name, args) = call.trim_start_matches("? ").split_once(' ').unwrap();
        let tool = tools::find(name).map(|it| it.1);
        let shown = tool.map_or(HOSTS, |it| it.name);
        assert!(tool.is_some() || name == HOSTS, "no tool {name}");
        let place = format!("{model} {claimed} {call}");
        let changes = tool.is_some_and(|it| it.effect != Effect::Reads);
        if changes && refusal.is_none() && !args.contains("dry_run") {
            rehearse(&gate, &ear, (name, args), &place, found);
        }
        let said = ask(&gate, name, args);
        let done = said.is_ok();
        match (said, refusal) {
            (Ok(()), None) => {}
            (Err(error), Some(part)) if error.contains(part) => {}
            (Ok(()), Some(part)) => found.wrong.push(format!("{place}: did not say `{part}`")),
            (Err(error), _) => found.wrong.push(format!("{place}: {error}")),
        }
        let trips = hear(schema, &ear, claimed, &place, found);
        if done {
            found.trips.entry(shown).or_insert(trips);
        }
    }
    gate.fleet.close();
    hear(schema, &ear, claimed, &format!("{model} {claimed} the end"), found);
}

/// The same as a dry run first, which may send nothing that writes.
fn rehearse(gate: &Gate, ear: &Ear, (name, args): (&str, &str), place: &str, found: &mut Found) {
    let more = if args == "{}" { "" } else { "," };
    let args = format!("{}{more}\"dry_run\":true}}", args.strip_suffix('}').unwrap());
    if let Err(error) = ask(gate, name, &args) {
        found.wrong.push(format!("{place}: as a dry run: {error}"));
    }
    // The program itself refuses REST that writes to who may only read.
    for heard in ear.take().iter().filter(|it| !is_rest(it)) {
        let method = method(&heard.body);
        if !is_read(&method) {
            found.wrong.push(format!("{place}: a dry run sent {method}"));
        }
    }
}

fn ask(gate: &Gate, name: &str, args: &str) -> Result<(), String> {
    let Ok(Value::Object(args)) = json::parse(args) else { panic!("not an object: {args}") };
    if name == HOSTS {
        let serials = gate.fleet.servers()[0].host.serials().unwrap();
        let hosts = serials.hosts(&Call::new(Rights::ReadOnly)).map_err(|it| it.to_string())?;
        return (!hosts.is_empty()).then_some(()).ok_or_else(|| "no hosts may dial in".to_owned());
    }
    match gate.call(name, args, Caller::local("test")) {
        Outcome::Answer(_) => Ok(()),
        Outcome::Asks { question, .. } => Err(question),
        Outcome::Failed { error, .. } | Outcome::Unknown(error) => Err(error.to_string()),
    }
}

/// Judges what went over the wire; the number of requests beside those of the set-up.
fn hear(schema: &Schema, ear: &Ear, claimed: &str, place: &str, found: &mut Found) -> usize {
    let mut count = 0;
    for heard in ear.take() {
        if is_rest(&heard) {
            count += usize::from(counts(&heard));
            continue;
        }
        if heard.action != format!("\"urn:vim25/{claimed}\"") {
            found.wrong.push(format!("{place}: SOAPAction is {}", heard.action));
        }
        for what in schema.judge(&heard.body, claimed) {
            found.wrong.push(format!("{place}: {what}"));
        }
        count += usize::from(counts(&heard));
        found.methods.insert(method(&heard.body));
    }
    count
}

/// Beside SOAP: tags, files, screens.
fn is_rest(heard: &Heard) -> bool {
    heard.action.starts_with('/')
}

/// Whether a request is a round trip of its tool. Of a wait only the first poll is: how many follow
/// depends on how often the task tells of its progress.
fn counts(heard: &Heard) -> bool {
    if is_rest(heard) {
        return !heard.action.ends_with("/session");
    }
    let method = method(&heard.body);
    let further = method == "WaitForUpdatesEx" && !heard.body.contains("<version></version>");
    !further && !SET_UP.contains(&method.as_str())
}

fn method(body: &str) -> String {
    let document = roxmltree::Document::parse(body).unwrap();
    let call = document.descendants().find(|it| it.tag_name().namespace() == Some("urn:vim25"));
    call.map(|it| it.tag_name().name().to_owned()).unwrap_or_default()
}

fn drive_both(claimed: &'static str) -> (Found, Found) {
    let schema = schema();
    let (esx, vpx) = std::thread::scope(|scope| {
        let esx = scope.spawn(|| drive(&schema, "esx", claimed));
        let vpx = scope.spawn(|| drive(&schema, "vpx", claimed));
        (esx.join().unwrap(), vpx.join().unwrap())
    });
    let wrong: Vec<&str> = esx.wrong.iter().chain(&vpx.wrong).map(String::as_str).collect();
    println!("{claimed}: {:?}", esx.methods.union(&vpx.methods).collect::<Vec<_>>());
    assert!(
        wrong.is_empty(),
        "\n{} requests or calls are wrong:\n{}\n",
        wrong.len(),
        wrong.join("\n")
    );
    (esx, vpx)
}

#[test]
fn every_request_suits_the_oldest_version() {
    drive_both(OLDEST);
}

#[test]
fn every_request_suits_the_newest_version_in_no_more_round_trips() {
    let (esx, vpx) = drive_both(NEWEST);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/round_trips.txt");
    let mut now = String::from("# tool, requests to an ESXi host, to a vCenter\n");
    let names: BTreeSet<&str> = esx.trips.keys().chain(vpx.trips.keys()).copied().collect();
    for name in names {
        let [esx, vpx] =
            [&esx, &vpx].map(|it| it.trips.get(name).map_or("-".to_owned(), usize::to_string));
        now.push_str(&format!("{name} {esx} {vpx}\n"));
    }
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &now).unwrap();
    }
    let agreed = fs::read_to_string(&path).expect("tests/golden/round_trips.txt");
    let read = |text: &str| -> BTreeMap<String, Vec<usize>> {
        let rows = text.lines().filter(|line| !line.starts_with('#'));
        rows.map(|line| {
            let mut cells = line.split(' ').map(str::to_owned);
            (cells.next().unwrap(), cells.map(|it| it.parse().unwrap_or(0)).collect())
        })
        .collect()
    };
    let (agreed, now) = (read(&agreed), read(&now));
    let mut wrong = Vec::new();
    for (name, counts) in &now {
        match agreed.get(name) {
            None => wrong.push(format!("{name} takes {counts:?}, nothing was agreed on")),
            Some(old) if old.iter().zip(counts).any(|(old, now)| now > old) => {
                wrong.push(format!("{name} takes {counts:?} round trips, {old:?} were agreed on"));
            }
            Some(old) if old != counts => println!("{name} takes only {counts:?} now, not {old:?}"),
            Some(_) => {}
        }
    }
    wrong.extend(
        agreed.keys().filter(|it| !now.contains_key(*it)).map(|it| format!("{it} is gone")),
    );
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// What a small and a large inventory are.
const SIZES: [u32; 2] = [20, 600];

/// Tools that plain machines give nothing to do: they ask no question and have no serial port, their
/// hosts are never free of them. What these read of the inventory others read in the same way.
const NOT_PLAIN: &[&str] = &[
    "answer_vm_question",
    "cancel_task",
    "expect_serial",
    "get_serial_port",
    "move_vm_disk",
    "read_serial",
    "reboot_host",
    "shutdown_host",
    "write_serial",
];

/// The round trips of every call of the own files that succeeds, against so many plain machines;
/// pages are not counted, nor what a lease is told of progress, which goes by the clock.
fn trips(vcenter: bool, machines: u32) -> BTreeMap<String, usize> {
    let mut trips = BTreeMap::new();
    for (_, lines) in calls().into_iter().filter(|(public, _)| !public) {
        let (gate, ear) = simulator::own(vcenter, NEWEST, Some(machines));
        let names = ["vm00001", "vm00002", "vm00003", OWN[usize::from(vcenter)][3], "datastore1"];
        for line in lines.iter().filter(|it| !it.starts_with("? ")) {
            let call = named(line.split_once(" !").map_or(line.as_str(), |(call, _)| call), names);
            let (name, args) = call.split_once(' ').unwrap();
            let done = ask(&gate, name, args).is_ok();
            let heard = ear.take();
            let others = ["<ContinueRetrievePropertiesEx ", "<HttpNfcLeaseProgress "];
            let counted = heard
                .iter()
                .filter(|it| counts(it) && !others.iter().any(|other| it.body.contains(other)));
            if done {
                trips.insert(call, counted.count());
            }
        }
        gate.fleet.close();
    }
    trips
}

#[test]
fn no_tool_asks_more_often_where_there_is_more() {
    let mut grown = Vec::new();
    let mut judged = BTreeSet::new();
    for vcenter in [false, true] {
        let [few, many] = SIZES.map(|it| trips(vcenter, it));
        for (call, count) in &few {
            let Some(more) = many.get(call) else { continue };
            judged.insert(call.split(' ').next().unwrap().to_owned());
            if more > count {
                grown.push(format!("{call}: {count} requests, then {more}"));
            }
        }
    }
    assert!(grown.is_empty(), "\n{}\n", grown.join("\n"));
    let driven = calls().into_iter().filter(|(public, _)| !public).flat_map(|(_, lines)| lines);
    let driven: BTreeSet<String> = driven
        .filter_map(|line| line.trim_start_matches("? ").split(' ').next().map(str::to_owned))
        .collect();
    let left: Vec<&String> = driven
        .iter()
        .filter(|it| !judged.contains(*it) && !NOT_PLAIN.contains(&it.as_str()))
        .collect();
    assert!(left.is_empty(), "no call of these succeeds with plain machines: {left:?}");
}

#[test]
fn every_tool_is_driven() {
    let lines: Vec<String> = calls().into_iter().flat_map(|(_, lines)| lines).collect();
    let driven: BTreeSet<&str> =
        lines.iter().filter_map(|line| line.trim_start_matches("? ").split(' ').next()).collect();
    let missing: Vec<&str> =
        tools::all().map(|(_, tool)| tool.name).filter(|name| !driven.contains(name)).collect();
    assert!(missing.is_empty(), "no line in {CALLS} for {missing:?}");
}

/// The judge itself: each kind of mistake, made on purpose.
#[test]
fn the_judge_finds_what_a_host_would_refuse() {
    let schema = schema();
    let judge = |version: &str, this: &str, call: &str, inside: &str| {
        let request = format!(
            "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/' \
             xmlns:i='http://www.w3.org/2001/XMLSchema-instance' \
             xmlns:x='http://www.w3.org/2001/XMLSchema'><s:Body><{call} xmlns='urn:vim25'>\
             <_this type='{this}'>1</_this>{inside}</{call}></s:Body></s:Envelope>"
        );
        schema.judge(&request, version).join("; ")
    };
    let spec = |inside: &str| {
        let inside = format!("<spec>{inside}</spec>");
        judge("6.5", "VirtualMachine", "ReconfigVM_Task", &inside)
    };
    assert_eq!(spec("<name>a</name><memoryMB>5</memoryMB>"), "");
    for (inside, said) in [
        ("<memoryMB>5</memoryMB><name>a</name>", "name: comes after memoryMB"),
        ("<name>a</name><name>b</name>", "comes twice"),
        ("<nome>a</nome>", "nome: unknown"),
        ("<memoryMB>5.5</memoryMB>", "`5.5` is no long"),
        ("<sevEnabled>true</sevEnabled>", "since 7.0.1.0"),
        ("<extraConfig><key>a</key><value>b</value></extraConfig>", "anyType without"),
        ("<files i:type='VirtualDisk'/>", "a VirtualDisk where a VirtualMachineFileInfo"),
        ("<deviceChange><operation>add</operation></deviceChange>", "device is required"),
        (
            "<cpuAllocation><shares><shares>1</shares><level>fast</level></shares></cpuAllocation>",
            "`fast` is no SharesLevel",
        ),
        (
            "<deviceChange><device><key>1</key><capacityInKB>1</capacityInKB></device></deviceChange>",
            "capacityInKB: unknown",
        ),
        ("<name xmlns=''>a</name>", "not of urn:vim25"),
        (
            "<extraConfig><key>a</key><value i:type='string'>b</value></extraConfig>",
            "in namespace `urn:vim25`",
        ),
    ] {
        let found = spec(inside);
        assert!(found.contains(said), "{inside}: {found}");
    }
    let paths = "<specSet><propSet><type>VirtualMachine</type><pathSet>config.sevEnabled</pathSet>\
                 </propSet><objectSet><obj type='VirtualMachine'>1</obj></objectSet></specSet>\
                 <options/>";
    let query = |version| judge(version, "PropertyCollector", "RetrievePropertiesEx", paths);
    assert!(query("6.5").contains("has no config.sevEnabled"), "{}", query("6.5"));
    assert_eq!(query("9.1.1.0"), "");
    assert!(judge("6.5", "HostSystem", "PowerOnVM_Task", "").contains("has no such method"));
    assert!(
        judge(
            "6.5",
            "VirtualMachine",
            "RevertToCurrentSnapshot_Task",
            "<host type='Folder'>1</host>"
        )
        .contains("is no HostSystem")
    );
}
