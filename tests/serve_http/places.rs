//! Where it listens, and over what.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;

use crate::rig::*;

#[test]
fn beyond_this_machine_only_with_sign_in_or_when_that_is_said() {
    let rig = Rig::start();
    let far = ("MCP_HOST", "0.0.0.0:0");
    for host in ["0.0.0.0:0", "[::]:0", "::ffff:0.0.0.0"] {
        let said = rig.refused(&["serve"], &[("MCP_HOST", host)]);
        for part in
            ["anybody who reaches it could do anything", "API_KEYS_FILE", "--without-sign-in"]
        {
            assert!(said.contains(part), "{part} in {said}");
        }
    }
    let open = rig.daemon(rig.command(PROGRAM), &["serve", "--without-sign-in"], "open", &[far]);
    open.hears("whoever reaches it may do anything");
    open.hears("serves MCP at http://0.0.0.0:");
    let keys = rig.keys();
    let signed = rig.serve("signed", &[far, ("API_KEYS_FILE", &keys)]);
    signed.hears("no TLS is spoken, so keys and tokens can be read");
    let port = signed.at().port();
    post(([127, 0, 0, 1], port).into(), "", LIST).holds(401, &[]);
    post(([127, 0, 0, 1], port).into(), READER, LIST).holds(200, &[]);
}

#[test]
fn the_newer_addresses_a_unix_socket_and_the_transport_without_a_command() {
    let rig = Rig::start();
    let six = rig.daemon(
        rig.command(PROGRAM),
        &[],
        "six",
        &[("MCP_TRANSPORT", "streamable-http"), ("MCP_HOST", "[::1]:0")],
    );
    let at = six.at();
    assert!(at.is_ipv6());
    post(at, "", LIST).holds(200, &["list_vms"]);
    talk(at, &request("", LIST).replace("localhost", &at.to_string())).holds(200, &[]);

    let path = rig.path("s");
    let mut local = rig.serve("unix", &[("MCP_HOST", &format!("unix:{path}"))]);
    local.hears(&format!("serves MCP at unix:{path}"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let said = heard(UnixStream::connect(&path).unwrap(), &request("", LIST));
    said.holds(200, &["list_vms"]);
    // Another one does not take it away.
    let second = rig.refused(&["serve"], &[("MCP_HOST", &format!("unix:{path}"))]);
    assert!(
        second.contains(&format!("process {} listens there", local.program.0.id())),
        "{second}"
    );
    assert_eq!(local.program.end("-TERM"), Some(0));
    assert!(fs::metadata(&path).is_err(), "its socket is left");
}

fn curl(at: &str, ca: &str, port: u16) -> (bool, String) {
    let mut command = Command::new("curl");
    command.args(["-sS", "-v", "--max-time", "20", "--cacert", ca]);
    command.arg(format!("https://localhost:{port}{at}"));
    let output = command.output().expect("curl is needed: apt install curl");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn a_certificate_that_is_replaced_is_served_after_a_hangup() {
    let rig = Rig::start();
    let (chain, key) = certificate(&rig.folder.0, "4711", "3");
    let old = rig.path("old.pem");
    fs::copy(&chain, &old).unwrap();
    let settings = [("MCP_TLS_CERT", chain.as_str()), ("MCP_TLS_KEY", key.as_str())];
    let daemon = rig.serve("d", &settings);
    daemon.hears("expires on ");
    let port = daemon.at().port();
    assert!(daemon.said().contains("serves MCP at https://"));
    let (well, said) = curl("/readyz", &old, port);
    assert!(well && said.contains("ready"), "{said}");
    get(daemon.at(), "/readyz", "").holds(400, &["TLS"]);

    // Half of it is written: the one before stays.
    fs::write(&chain, "-----BEGIN CERTIFICATE-----\n").unwrap();
    daemon.program.signal("-HUP");
    daemon.hears("goes on with the certificate that was read before");
    assert!(curl("/readyz", &old, port).0);
    certificate(&rig.folder.0, "4712", "300");
    daemon.program.signal("-HUP");
    daemon.hears("the certificate was read again");
    assert!(!curl("/readyz", &old, port).0, "the old one is served on");
    let (well, said) = curl("/readyz", &chain, port);
    assert!(well, "{said}");
}
