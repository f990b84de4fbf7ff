//! Settings that cannot be meant, each with the next step; and what `check` says before.

use std::fs;

use crate::rig::*;

#[test]
fn wrong_settings_are_refused_with_the_next_step() {
    let rig = Rig::start();
    let keys = rig.keys();
    fs::write(rig.path("empty"), "# nobody yet\n").unwrap();
    fs::write(rig.path("bad"), format!("ann:admins:{ADMIN}\n")).unwrap();
    fs::write(rig.path("loose"), "").unwrap();
    run("chmod", &["666", &rig.path("loose")]);
    let (empty, bad, loose) = (rig.path("empty"), rig.path("bad"), rig.path("loose"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let oauth = ("OAUTH_ENABLED", "true");
    let base = ("OAUTH_BASE_URL", "https://jump.example");
    for (settings, parts) in [
        (vec![("MCP_HOST", "203.0.113.1:80")], vec!["MCP_HOST", "no such address"]),
        (vec![("MCP_HOST", &*taken)], vec!["Another program listens there"]),
        (vec![("MCP_HOST", "[::1")], vec!["`]` is missing", "unix:/path"]),
        (vec![("MCP_HOST", "unix:s")], vec!["begins with `/`"]),
        (vec![("MCP_PORT", "0")], vec!["MCP_PORT", "1 to 65535"]),
        (vec![("MCP_TLS_CERT", "/nowhere")], vec!["needs `MCP_TLS_KEY` beside it"]),
        (
            vec![("MCP_TLS_CERT", "/nowhere"), ("MCP_TLS_KEY", "/nowhere")],
            vec!["cannot read the certificate file `/nowhere`"],
        ),
        (vec![("METRICS", "9090")], vec!["METRICS", "127.0.0.1:9090"]),
        (vec![("API_KEYS_FILE", "/nowhere")], vec!["`jumpvisor key NAME GROUP`"]),
        (vec![("API_KEYS_FILE", &empty)], vec!["has no key", "`jumpvisor key NAME GROUP`"]),
        (vec![("API_KEYS_FILE", &bad)], vec!["line 1", "64 hexadecimal digits"]),
        (vec![("API_KEYS_FILE", &loose)], vec!["may be written by others", "chmod 640"]),
        (vec![("RBAC_GROUPS", "a=read")], vec!["nobody can come in", "API_KEYS_FILE"]),
        (
            vec![("RBAC_GROUPS", "a=raed"), ("API_KEYS_FILE", &keys)],
            vec!["RBAC_GROUPS", "did you mean `read`"],
        ),
        (
            vec![("RBAC_GROUPS", "a=read@esy"), ("API_KEYS_FILE", &keys)],
            vec!["a server `esy`", "There are: esx"],
        ),
        (vec![oauth], vec!["OAUTH_ISSUER_URL", "OAUTH_BASE_URL"]),
        (
            vec![oauth, base, ("OAUTH_ISSUER_URL", "http://sso.example")],
            vec!["must begin with https://"],
        ),
        (vec![("OAUTH_ISSUER_URL", "https://sso.example")], vec!["OAUTH_ENABLED=true"]),
        (vec![("AUTHENTIK_OIDC_URL", "https://sso.example")], vec!["OAUTH_ENABLED=true"]),
        (vec![("OAUTH_CLIENT_ID", "x")], vec!["OAUTH_CLIENT_SECRET"]),
        (vec![("APPROVAL", "some")], vec!["APPROVAL", "destructive"]),
        (vec![("APPROVAL_KEY_FILE", "/nowhere")], vec!["/dev/urandom"]),
        (vec![("MCP_TRUSTED_PROXIES", "10.0.0.1,proxy")], vec!["`proxy`", "10.0.0.0/8"]),
        (vec![("MCP_TRUSTED_PROXIES", "10.0.0.0/33")], vec!["`10.0.0.0/33`"]),
        (vec![("MCP_ALLOWED_ORIGINS", "app.example")], vec!["`app.example`", "https://"]),
        (vec![("MCP_ALLOWED_HOSTS", "https://a")], vec!["`https://a` is not a host name"]),
    ] {
        let said = rig.refused(&["serve"], &settings);
        for part in parts {
            assert!(said.contains(part), "{settings:?}: {part} in {said}");
        }
        assert!(!said.contains(ADMIN) && !said.contains("secret"), "{said}");
    }
}

/// What `check` says, and whether it is content.
fn check(rig: &Rig, settings: &[(&str, &str)]) -> (bool, String) {
    let mut command = rig.command(PROGRAM);
    command.arg("check").envs(settings.iter().copied());
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn check_tells_of_the_daemon_before_it_is_started() {
    let rig = Rig::start();
    let (chain, key) = certificate(&rig.folder.0, "1", "5");
    let keys = rig.keys();
    let (well, said) = check(&rig, &[]);
    assert!(well && !said.contains("\nserve\n"), "{said}");
    let tls = [("MCP_TLS_CERT", chain.as_str()), ("MCP_TLS_KEY", key.as_str())];
    let good = [tls[0], tls[1], ("API_KEYS_FILE", &keys), ("MCP_HOST", "0.0.0.0")];
    let (well, said) = check(&rig, &good);
    assert!(well, "{said}");
    for part in ["warn  tls", "expires on 20", "ok    keys     4 in the file", "0.0.0.0:8080"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let (_, said) = check(&rig, &[("MCP_HOST", "0.0.0.0")]);
    assert!(said.contains("warn  listen") && said.contains("API_KEYS_FILE"), "{said}");
    let oauth = [
        ("OAUTH_ENABLED", "true"),
        ("OAUTH_ISSUER_URL", "http://127.0.0.1:1/sso"),
        ("OAUTH_BASE_URL", "https://jump.example"),
    ];
    let (well, said) = check(&rig, &oauth);
    assert!(!well && said.contains("FAIL  issuer   http://127.0.0.1:1/sso"), "{said}");
    for wrong in [
        ("API_KEYS_FILE", "/nowhere"),
        ("RBAC_GROUPS", "a=raed"),
        ("MCP_TRUSTED_PROXIES", "x"),
        ("MCP_TLS_CERT", "/nowhere"),
        ("MCP_HOST", "[::1"),
    ] {
        let (well, said) = check(&rig, &[wrong]);
        assert!(!well && said.contains("FAIL"), "{wrong:?}: {said}");
    }
}
