//! The official client in Python, as programs use it.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use crate::stage::*;

fn python() -> PathBuf {
    let ours = || concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/.build").into();
    let folder: PathBuf = std::env::var_os("JUMPVISOR_PEERS").map_or_else(ours, PathBuf::from);
    let python = folder.join("venv/bin/python");
    assert!(python.is_file(), "the official client is missing: run tests/peers/install first");
    python
}

#[test]
fn the_official_client_lists_calls_hears_cancels_and_is_asked() {
    for (mode, version) in
        [("legacy", "2025-11-25"), ("2026-07-28", "2026-07-28"), ("auto", "2026-07-28")]
    {
        let it = start(|it| it.extra = Some(Arc::new(Trial::default())));
        let out = Command::new(python())
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mcp_http/client.py"))
            .arg(format!("http://{}/mcp", it.addresses()[0]))
            .arg(mode)
            .env("NO_PROXY", "*")
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = text(&out.stdout) + &text(&out.stderr);
        assert!(out.status.success(), "{mode}: {said}");
        for line in [
            &format!("version: {version}"),
            "tools: True",
            "vms: ['web', 'db', 'slow', 'stuck', 'boom']",
            "refused: True",
            "resource: application/json",
            "progress: 100.0 ",
            "cancelled: True",
            "many: True",
            "ended",
        ] {
            assert!(said.contains(line), "{mode}: no `{line}` in {said}");
        }
        until("the host hears of the cancelling", || it.stage.cancelled.load(SeqCst) == 1);
        let legacy = mode == "legacy";
        assert_eq!(said.contains("asked: Delete web?\nconsent: true"), legacy, "{said}");
        // The client ends its session when it leaves.
        until("its session ended", || it.http.sessions() == 0);
    }
}
