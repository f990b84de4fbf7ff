//! What the audit log says of calls: which server, how it ended, when.

use crate::rig::{has, run};
use crate::scripted::{Peer, tcp};

/// The audit lines of one call on the command line.
fn lines(args: &[&str]) -> Vec<String> {
    let peer = Peer::esxi();
    let all = [&["--audit-log=stderr", "call"][..], args].concat();
    let (_, _, err) = run(tcp::plain(&peer), &all);
    err.lines().filter(|it| it.starts_with('{')).map(str::to_owned).collect()
}

#[test]
fn the_server_that_was_used_is_told() {
    let host = "\"host\":\"127.0.0.1:";
    has(&lines(&["list_vms"])[0], &[host, "\"result\":\"success\""]);
    has(&lines(&["get_vm_info", "name=nobody"])[0], &[host, "\"result\":\"error\""]);
    has(&lines(&["list_vms", "host=all"])[0], &["\"host\":\"all\""]);
    for tool in ["list_servers", "get_metrics"] {
        assert!(!lines(&[tool])[0].contains("\"host\":"), "{tool}");
    }
}

#[test]
fn a_batch_that_failed_in_part_is_no_success() {
    let told = lines(&["reset_vm", "names=web01,db01"]);
    has(&told[0], &["\"result\":\"error\"", "\"error\":\"1 of 2 failed\""]);
}
