//! Tokens that others made: signed by PyJWT with all that is accepted, and forged in the known ways.
//!
//! Each is shown to an issuer that publishes the keys that come with it, as a caller would.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::process::Command;

use jumpvisor::auth::Clock;
use jumpvisor::auth::claims::Expected;
use jumpvisor::auth::issuer::{Answer, Fetch, Issuer};
use jumpvisor::text::json;
use jumpvisor::text::json::Value;

fn made_by_others() -> String {
    let ours = || concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/.build").into();
    let folder: PathBuf = std::env::var_os("JUMPVISOR_PEERS").map_or_else(ours, PathBuf::from);
    let python = folder.join("venv/bin/python");
    assert!(python.is_file(), "Python is missing: run tests/peers/install first");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/tokens.py");
    let ended = Command::new(python).arg(script).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).unwrap()
}

fn ends(keys: String, token: &str) -> String {
    let fetch: Fetch = Box::new(move |ask| {
        let body = match ask.url {
            "https://id.example/keys" => keys.clone(),
            _ => {
                r#"{"issuer":"https://id.example","jwks_uri":"https://id.example/keys"}"#.to_owned()
            }
        };
        Ok(Answer { status: 200, body: body.into_bytes() })
    });
    let expected = Expected {
        issuer: "https://id.example".to_owned(),
        audiences: vec!["https://jump.example/mcp".to_owned()],
        groups_claim: "groups".to_owned(),
    };
    match Issuer::new(expected, fetch, None).unwrap().identify(token, &Clock::now()) {
        Ok(who) => {
            assert_eq!(who.groups, ["vsphere-admins"]);
            who.id
        }
        Err(error) => format!("{}: {error}", error.kind().word()),
    }
}

#[test]
fn tokens_of_others_are_judged_right() {
    let (mut judged, mut wrong) = ((0, 0), Vec::new());
    for line in made_by_others().lines() {
        let Ok(Value::Object(case)) = json::parse(line) else { panic!("{line}") };
        let text = |name: &str| json::get_text(&case, name).unwrap();
        let keys = json::write_object(json::get_object(&case, "keys").unwrap());
        let (ended, wanted) = (ends(keys, text("token")), text("ends"));
        let right = if wanted == "u1" {
            ended == "u1"
        } else {
            ended.starts_with("denied: ") && ended.contains(wanted)
        };
        if !right {
            wrong.push(format!("{}: {ended}, not {wanted}", text("what")));
        }
        judged = (judged.0 + u32::from(wanted == "u1"), judged.1 + u32::from(wanted != "u1"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(judged.0 >= 19 && judged.1 >= 100, "{judged:?}");
}
