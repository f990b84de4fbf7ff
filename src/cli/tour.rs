//! `jumpvisor demo` on a terminal: a guided tour through real tools on simulated servers.
//!
//! Each step shows what a person says, the call that an assistant makes of it, and the text that
//! the assistant gets. It waits for Enter where somebody can press it.

use std::io::{BufRead, IsTerminal};
use std::sync::Arc;

use crate::app::user;
use crate::cli::{call, print};
use crate::error::Result;
use crate::tools::run::{Caller, Gate, Outcome};

/// What a person wants, and what is called for it.
struct Step {
    wish: &'static str,
    tool: &'static str,
    words: &'static [&'static str],
}

const fn step(wish: &'static str, tool: &'static str, words: &'static [&'static str]) -> Step {
    Step { wish, tool, words }
}

const STEPS: &[Step] = &[
    step("What can you reach?", "list_servers", &[]),
    step("Which machines do not run?", "list_vms", &["power_state=off"]),
    step("Tell me about the database server.", "get_vm_info", &["name=db01"]),
    step(
        "What would happen if I deleted legacy-erp?",
        "delete_vm",
        &["name=legacy-erp", "dry_run=true"],
    ),
    step(
        "Take a snapshot of test01 before I break it.",
        "create_snapshot",
        &["name=test01", "snapshot_name=before-upgrade"],
    ),
    step("Start it.", "power_on", &["name=test01"]),
    step("Which snapshots has it now?", "list_snapshots", &["name=test01"]),
    step("Shut down wbe01.", "shutdown_guest", &["name=wbe01"]),
    step("Why does kiosk01 hang?", "answer_vm_question", &["name=kiosk01"]),
    step("Yes, go on.", "answer_vm_question", &["name=kiosk01", "choice=0"]),
    step(
        "And on the vCenter: which machines are there?",
        "list_vms",
        &["host=vcenter01", "limit=5"],
    ),
];

/// Walks through the tour.
pub fn run(gate: Arc<Gate>) -> Result<u8> {
    print::line(concat!(
        "jumpvisor ",
        env!("CARGO_PKG_VERSION"),
        ": a tour on simulated servers. Nothing here is real, ",
        "and nothing is kept.\nEach step is what a person says, the call that an assistant makes, and \
         what it gets back."
    ))?;
    for (at, step) in STEPS.iter().enumerate() {
        print::line(&format!("\n[{}/{}] \"{}\"", at + 1, STEPS.len(), step.wish))?;
        print::line(format!("  > {} {}", step.tool, step.words.join(" ")).trim_end())?;
        for line in answer(&gate, step)?.lines() {
            print::line(&format!("    {line}"))?;
        }
        if at + 1 < STEPS.len() && !go_on() {
            break;
        }
    }
    crate::cli::serve::end_sessions(gate);
    let program =
        std::env::current_exe().map_or_else(|_| "jumpvisor".into(), |it| it.display().to_string());
    print::line(&format!(
        "\nLet an assistant try it: add this MCP server to its configuration\n  \
         {{ \"mcpServers\": {{ \"demo\": {{ \"command\": \"{program}\", \"args\": [\"demo\"] }} }} }}\n\
         Try any tool yourself: jumpvisor --demo tools, jumpvisor --demo call list_vms\n\
         Let another client try it: jumpvisor simulate"
    ))
}

/// What an assistant gets, good or bad.
fn answer(gate: &Arc<Gate>, step: &Step) -> Result<String> {
    let words: Vec<String> = step.words.iter().map(|it| (*it).to_owned()).collect();
    let arguments = call::arguments(step.tool, &words)?;
    let caller = Caller::local(&user()).watched_by(Some(Arc::new(print::bar)));
    // Nothing here is real.
    let caller = caller.asked_by(Some(Arc::new(|_, _| Ok(true))));
    let outcome = gate.call(step.tool, arguments, caller);
    print::end_bar();
    Ok(match outcome {
        Outcome::Answer(shown) => shown.text,
        Outcome::Asks { question, .. } => question,
        Outcome::Failed { error, .. } | Outcome::Unknown(error) => format!("error: {error}"),
    })
}

/// Waits for Enter; false when somebody has seen enough.
fn go_on() -> bool {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return true;
    }
    print::note("    (Enter goes on, q ends)");
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(read) => read > 0 && !line.trim().eq_ignore_ascii_case("q"),
        Err(_) => false,
    }
}
