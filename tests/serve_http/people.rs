//! Who may do what, who said yes, and what an auditor reads of it.

use std::fs;

use crate::rig::*;

fn tools(heard: &Heard) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for part in heard.text.split("{\"name\":\"").skip(1) {
        all.push(part.split('"').next().unwrap().to_owned());
    }
    all
}

#[test]
fn each_sees_and_does_what_its_groups_may_and_the_trail_tells() {
    let rig = Rig::start();
    let keys = rig.keys();
    let groups = "vsphere-super-admins=full_admin,vsphere-readers=read,lab=vm@esx";
    let metrics = format!("127.0.0.1:{}", free_port());
    let settings = [
        ("API_KEYS_FILE", keys.as_str()),
        ("RBAC_GROUPS", groups),
        ("TOOLSETS", "all"),
        ("METRICS", &metrics),
    ];
    let mut daemon = rig.serve("d", &settings);
    let at = daemon.at();
    assert!(daemon.said().contains("no group of the key `tim` has a right"), "{}", daemon.said());

    // The two ways to bring a key, and none, a wrong one, two.
    daemon.post("", LIST).holds(401, &["WWW-Authenticate: Bearer", "X-API-Key"]);
    daemon.post("admin-key", LIST).holds(401, &["invalid_token"]);
    daemon.post(NOBODY, LIST).holds(403, &["insufficient_scope", "strangers"]);
    let header = |it: &str| talk(at, &request("", LIST).replacen("\r\n", it, 1));
    header(&format!("\r\nX-API-Key: {READER}\r\n")).holds(200, &["list_vms"]);
    header(&format!("\r\nx-api-key: {READER}\r\nAuthorization: Bearer {ADMIN}\r\n"))
        .holds(400, &[]);
    header(&format!("\r\nAuthorization: Basic {ADMIN}\r\n")).holds(401, &[]);

    // What is listed can be called, and the changed way round.
    let (all, read) = (tools(&daemon.post(ADMIN, LIST)), tools(&daemon.post(READER, LIST)));
    assert!(read.len() > 10 && read.len() < all.len(), "{read:?} of {all:?}");
    for tool in &all {
        // An argument that no tool has: whoever may call it gets as far as to be told.
        let heard = daemon.tool(READER, tool, r#"{"no_such_argument":1}"#);
        let denied = heard.text.contains(r#""kind":"denied""#);
        assert_eq!(denied, !read.contains(tool), "{tool}: {}", heard.text);
    }
    let denied = daemon.tool(READER, "delete_vm", r#"{"name":"edge01"}"#);
    denied.holds(200, &["isError\":true", "it needs vm_lifecycle on `esx`"]);
    let line = daemon.audit();
    let line = line.lines().rfind(|it| it.contains("PERMISSION_DENIED")).unwrap();
    for part in [
        r#""user":"rob""#,
        r#""groups":["vsphere-readers"]"#,
        r#""required_permission":"vm_lifecycle""#,
        r#""args":{"name":"edge01"}"#,
        r#""tool":"delete_vm""#,
        r#""timestamp":""#,
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }

    // Consent: for this caller and this call, once.
    let asked = daemon.tool(LAB, "delete_vm", r#"{"name":"edge01"}"#);
    asked.holds(200, &["Nothing was changed", "edge01.vmdk"]);
    let token = asked.member("approval_token");
    let with = |name: &str| format!(r#"{{"name":"{name}","approval_token":"{token}"}}"#);
    daemon.tool(ADMIN, "delete_vm", &with("edge01")).holds(200, &["not for this"]);
    daemon.tool(LAB, "delete_vm", &with("db01")).holds(200, &["not for this"]);
    daemon.tool(LAB, "power_off", &with("edge01")).holds(200, &["not for this"]);
    daemon.tool(LAB, "delete_vm", &with("edge01")).works(&[]);
    let again = daemon.tool(LAB, "delete_vm", &with("edge01"));
    again.holds(200, &["isError\":true"]);
    let audit = daemon.audit();
    for event in ["APPROVAL_ASKED", "APPROVED"] {
        assert!(audit.contains(event), "{event}: {audit}");
    }

    // What is measured: at its own address for who reaches it, here for nobody without a right.
    let own = metrics.parse().unwrap();
    let text = get(own, "/metrics", "");
    text.holds(200, &[r#"jumpvisor_call_errors_total{tool="delete_vm",host="esx",kind="denied"}"#]);
    get(own, "/healthz", "").holds(200, &[]);
    post(own, ADMIN, LIST).holds(404, &[]);
    get(at, "/metrics", "").holds(401, &[]);
    get(at, "/metrics", &format!("X-API-Key: {NOBODY}\r\n")).holds(403, &[]);
    let beside = get(at, "/metrics", &format!("X-API-Key: {READER}\r\n"));
    beside.holds(200, &["jumpvisor_calls_total"]);
    for path in ["/healthz", "/readyz"] {
        get(at, path, "").holds(200, &[]);
    }
    assert!(daemon.said().contains(&format!("metrics at http://{metrics}/metrics")));

    // Nothing that was written down, or said to changeds, holds what opens anything.
    assert_eq!(daemon.program.end("-TERM"), Some(0));
    let (said, audit) = (daemon.said(), daemon.audit());
    let heard = [denied.text, again.text, text.text, beside.text].concat();
    for secret in [ADMIN, READER, LAB, NOBODY, &token, "secret"] {
        for (where_, text) in [("log", &said), ("audit", &audit), ("answers", &heard)] {
            assert!(!text.contains(secret), "{secret} in the {where_}: {text}");
        }
    }
}

#[test]
fn rights_end_at_the_hosts_that_an_entry_names() {
    let rig = Rig::start();
    let keys = rig.keys();
    let mut command = rig.command(PROGRAM);
    let other = Rig::start();
    for (name, value) in other.command("x").get_envs() {
        let name = name.to_str().unwrap();
        if let Some(rest) = name.strip_prefix("ESXI_") {
            command.env(format!("ESXI_{rest}_1"), value.unwrap());
        }
    }
    command.env("ESXI_NAME_1", "second");
    let groups = "vsphere-super-admins=full_admin,lab=vm@second,vsphere-readers=read@esx";
    let settings = [("API_KEYS_FILE", keys.as_str()), ("RBAC_GROUPS", groups)];
    let daemon = rig.daemon(command, &["serve"], "d", &settings);
    let servers = daemon.tool(LAB, "list_servers", "{}");
    assert!(
        servers.text.contains("second") && !servers.text.contains("\"esx\""),
        "{}",
        servers.text
    );
    daemon.tool(LAB, "list_vms", r#"{"host":"esx"}"#).holds(200, &["isError\":true"]);
    daemon.tool(LAB, "list_vms", r#"{"host":"second","limit":1}"#).works(&[]);
    let all = daemon.tool(READER, "list_vms", r#"{"host":"all","limit":100}"#);
    assert!(!all.text.contains("second"), "{}", all.text);
    let snapshot = r#"{"name":"db01","snapshot_name":"s","host":"second","dry_run":true}"#;
    daemon.tool(LAB, "create_snapshot", snapshot).works(&[]);
    daemon.tool(READER, "create_snapshot", snapshot).holds(200, &["isError\":true"]);
}

#[test]
fn a_trail_that_cannot_be_written_is_told_at_once_and_stops_changes_where_that_is_wanted() {
    let rig = Rig::start();
    for (required, works) in [("true", false), ("false", true)] {
        let settings =
            [("AUDIT_LOG", "/dev/full"), ("AUDIT_REQUIRED", required), ("APPROVAL", "off")];
        let daemon = rig.serve("d", &settings);
        daemon.tool("", "list_vms", r#"{"limit":1}"#).works(&[]);
        daemon.hears("No space left");
        let changed = daemon.tool("", "create_snapshot", r#"{"name":"db01","snapshot_name":"s"}"#);
        assert_eq!(!changed.text.contains("isError"), works, "{}", changed.text);
    }
    let listed = rig.call("list_snapshots name=db01 --json");
    assert_eq!(listed.matches("\"s\"").count(), 1, "{listed}");
    let daemon = rig.serve("e", &[("AUDIT_LOG", "/nowhere/audit"), ("AUDIT_REQUIRED", "true")]);
    daemon.hears("/nowhere/audit cannot be written");
    daemon.hears("changes are refused meanwhile");
}

#[test]
fn a_daemon_reads_no_file_and_no_url_that_nobody_named() {
    let rig = Rig::start();
    let daemon = rig.serve("d", &[("TOOLSETS", "all"), ("APPROVAL", "off")]);
    fs::write(rig.path("a.ova"), "x").unwrap();
    let file = format!(r#"{{"ova_path":"{}","vm_name":"x"}}"#, rig.path("a.ova"));
    let url = r#"{"ova_path":"http://127.0.0.1:1/a.ova","vm_name":"x"}"#;
    let pipe = r#"{"ova_path":"-","vm_name":"x"}"#;
    daemon.tool("", "deploy_ova", &file).holds(200, &["isError\":true", "FILES_ROOT"]);
    daemon.tool("", "deploy_ova", url).holds(200, &["isError\":true", "URL_HOSTS"]);
    daemon.tool("", "deploy_ova", pipe).holds(200, &["isError\":true"]);
    let save = format!(r#"{{"name":"db01","save_to":"{}"}}"#, rig.path("shot.png"));
    daemon.tool("", "vm_screenshot", &save).holds(200, &["isError\":true"]);
    drop(daemon);
    let only = rig.serve("e", &[("READ_ONLY", "true"), ("TOOLSETS", "vm,power")]);
    let listed = tools(&only.post("", LIST));
    assert!(listed.contains(&"list_vms".to_owned()), "{listed:?}");
    for tool in ["power_on", "delete_vm", "create_snapshot", "list_networks"] {
        assert!(!listed.iter().any(|it| it == tool), "{tool}");
        only.tool("", tool, r#"{"name":"db01"}"#).holds(200, &["-32602"]);
    }
}

#[test]
fn a_key_that_was_taken_back_opens_nothing_after_a_hangup() {
    let rig = Rig::start();
    let keys = rig.keys();
    let daemon = rig.serve("d", &[("API_KEYS_FILE", &keys)]);
    daemon.post(ADMIN, LIST).works(&["list_vms"]);
    let text = std::fs::read_to_string(&keys).unwrap();
    // What cannot be read leaves what was read before.
    std::fs::write(&keys, "nonsense").unwrap();
    daemon.program.signal("-HUP");
    daemon.hears("the keys that were read before hold");
    daemon.post(ADMIN, LIST).works(&["list_vms"]);
    let left: String = text
        .lines()
        .filter(|it| !it.starts_with("ann:"))
        .fold(String::new(), |all, it| all + it + "\n");
    std::fs::write(&keys, left).unwrap();
    daemon.program.signal("-HUP");
    daemon.hears("the file of keys was read again");
    daemon.post(ADMIN, LIST).holds(401, &["invalid_token"]);
    daemon.post(READER, LIST).works(&["list_vms"]);
}
