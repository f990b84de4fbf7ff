//! The command line: what a person or a script types.
//!
//! Global flags may stand anywhere before `--`. Without a command it speaks MCP when standard
//! input is a pipe, and prints help on a terminal. Exit status: 0 done, 2 wrong request, 3 not
//! found, 4 denied, 5 conflict, 6 unsupported, 7 busy or network, 8 refused by the server, 70
//! defect, 130 cancelled.

mod approve;
mod call;
mod check;
mod console;
#[cfg(feature = "demo")]
mod demo;
mod escape;
mod key;
mod print;
mod serve;
mod show;
mod terminal;
#[cfg(feature = "demo")]
mod tour;

use std::io::IsTerminal;
use std::path::PathBuf;

use argh::FromArgs;

use crate::config::{Config, Environment, Flags, Problem, load, refusal};
use crate::error::{Error, Kind, Result};
use crate::hv::fleet::Server;
use crate::tools::offer::Offer;

/// Full control of VMware ESXi and vCenter for assistants (MCP), people and scripts. Without a
/// command it speaks MCP on standard input and output.
#[derive(FromArgs)]
struct Top {
    /// env file with the settings, instead of .env or /etc/jumpvisor/env
    #[argh(option, arg_name = "file")]
    config: Option<PathBuf>,
    /// families of tools to offer: default, all, or names such as vm,power
    #[argh(option, arg_name = "names")]
    toolsets: Option<String>,
    /// single tools to offer besides
    #[argh(option, arg_name = "names", default = "String::new()")]
    tools: String,
    /// single tools to leave out
    #[argh(option, arg_name = "names", default = "String::new()")]
    exclude_tools: String,
    /// offer only tools that read
    #[argh(switch)]
    read_only: bool,
    /// leave out tools that can lose data or stop a service
    #[argh(switch)]
    no_destructive: bool,
    /// off, destructive or all: ask before changes
    #[argh(option, arg_name = "when")]
    approval: Option<String>,
    /// stderr, journal or a file, or several with commas: where the audit log goes
    #[argh(option, arg_name = "where")]
    audit_log: Option<String>,
    /// DEBUG, INFO, WARNING or ERROR
    #[argh(option, arg_name = "level")]
    log_level: Option<String>,
    /// bound of a call that only reads, such as 300 or 5m
    #[argh(option, arg_name = "time")]
    call_timeout: Option<String>,
    /// use simulated servers instead of those configured
    #[argh(switch)]
    demo: bool,
    /// with --demo, demo or simulate: a file that keeps the simulated state
    #[argh(option, arg_name = "file")]
    state: Option<PathBuf>,
    /// with --demo, demo or simulate: a file of rules for what goes wrong
    #[argh(option, arg_name = "file")]
    faults: Option<PathBuf>,
    /// with --demo, demo or simulate: start at this time (2026-01-15T08:00:00Z), and jump instead of waiting
    #[argh(option, arg_name = "time")]
    clock: Option<String>,
    /// print the version
    #[argh(switch)]
    version: bool,
    #[argh(subcommand)]
    command: Option<Command>,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Command {
    Tools(ToolsCommand),
    Docs(DocsCommand),
    Call(CallCommand),
    Check(CheckCommand),
    Console(console::ConsoleCommand),
    Key(key::KeyCommand),
    Serve(serve::ServeCommand),
    Demo(DemoCommand),
    #[cfg(feature = "demo")]
    Simulate(demo::SimulateCommand),
    Version(VersionCommand),
}

/// List the tools, or show one.
#[derive(FromArgs)]
#[argh(subcommand, name = "tools")]
struct ToolsCommand {
    /// one tool, with its arguments
    #[argh(positional, arg_name = "name")]
    name: Option<String>,
    /// as JSON, as MCP lists them
    #[argh(switch)]
    json: bool,
}

/// Print the reference of all tools and arguments, as Markdown.
#[derive(FromArgs)]
#[argh(subcommand, name = "docs")]
struct DocsCommand {}

/// Call a tool: jumpvisor call power_on name=web01
#[derive(FromArgs)]
#[argh(subcommand, name = "call")]
struct CallCommand {
    /// the tool
    #[argh(positional)]
    tool: String,
    /// its arguments as key=value; lists with commas
    #[argh(positional, arg_name = "key=value")]
    args: Vec<String>,
    /// the answer as JSON
    #[argh(switch)]
    json: bool,
    /// approve what it is about to do without being asked, where APPROVAL wants that
    #[argh(switch)]
    yes: bool,
}

/// Try the configuration: name, TLS, login, version, licence, rights.
#[derive(FromArgs)]
#[argh(subcommand, name = "check")]
struct CheckCommand {
    /// as JSON
    #[argh(switch)]
    json: bool,
}

/// Try everything on simulated servers: a tour on a terminal, MCP where standard input is a pipe.
#[derive(FromArgs)]
#[argh(subcommand, name = "demo")]
struct DemoCommand {}

/// Print the version.
#[derive(FromArgs)]
#[argh(subcommand, name = "version")]
struct VersionCommand {}

/// Runs the program with the process's arguments; its exit status.
pub fn main() -> u8 {
    let mut args = Vec::new();
    for arg in std::env::args_os().skip(1) {
        match arg.into_string() {
            Ok(arg) => args.push(arg),
            Err(arg) => {
                print::error(&Error::usage(format!("the argument {arg:?} is not UTF-8")));
                return 2;
            }
        }
    }
    let args = hoisted(args);
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let top = match Top::from_args(&["jumpvisor"], &words) {
        Ok(top) => top,
        Err(early) => return print::early(&early.output, early.status.is_ok()),
    };
    match run(top) {
        Ok(status) => status,
        Err(error) => {
            print::error(&error);
            error.kind().exit_code()
        }
    }
}

fn run(mut top: Top) -> Result<u8> {
    if top.version || matches!(top.command, Some(Command::Version(_))) {
        return print::line(&format!("jumpvisor {}", env!("CARGO_PKG_VERSION")));
    }
    if let Some(Command::Docs(_)) = top.command {
        return show::docs();
    }
    if let Some(Command::Key(command)) = &top.command {
        return key::run(command);
    }
    let mut config = configuration(&top)?;
    if top.command.is_none() && config.over_http {
        top.command = Some(Command::Serve(serve::ServeCommand::default()));
        config = configuration(&top)?;
    }
    let set = |name: &str| config.found.iter().any(|it| it.name == name && it.from != "default");
    // A person wants the answer, not the story of it.
    let serve = matches!(top.command, Some(Command::Serve(_)));
    let person = top.command.is_some() && !serve && !set("LOG_LEVEL");
    if config.log_json {
        crate::logging::as_json();
    }
    crate::logging::start(if person { log::LevelFilter::Warn } else { config.log_level });
    for note in &config.notes {
        log::warn!("{note}");
    }
    #[cfg(feature = "demo")]
    if let Some(Command::Simulate(command)) = &top.command {
        return demo::simulate(command, &choices(&top));
    }
    match &top.command {
        Some(Command::Tools(command)) => show::tools(&offer(&top, &config, true)?, command),
        Some(Command::Call(command)) => {
            let sink = match set("AUDIT_LOG") {
                true => crate::app::sink(&config),
                false => crate::audit::Sink::Nowhere,
            };
            let offer = offer(&top, &config, true)?;
            let gate = crate::app::gate(&config, servers(&top, &config)?, offer, sink)?;
            gate.files.allow_stdin();
            call::run(gate, command)
        }
        Some(Command::Console(command)) => {
            let sink = match set("AUDIT_LOG") {
                true => crate::app::sink(&config),
                false => crate::audit::Sink::Nowhere,
            };
            let offer = offer(&top, &config, true)?;
            console::run(crate::app::gate(&config, servers(&top, &config)?, offer, sink)?, command)
        }
        Some(Command::Serve(command)) => {
            let (offer, sink) = (offer(&top, &config, false)?, crate::app::sink(&config));
            serve::daemon(command, &config, servers(&top, &config)?, offer, sink)
        }
        Some(Command::Check(command)) => check::run(&config, servers(&top, &config)?, command),
        #[cfg(feature = "demo")]
        Some(Command::Demo(_)) if std::io::stdin().is_terminal() => {
            let sink = crate::audit::Sink::Nowhere;
            let offer = offer(&top, &config, true)?;
            tour::run(crate::app::gate(&config, servers(&top, &config)?, offer, sink)?)
        }
        Some(Command::Demo(_)) => stdio(&top, &config),
        #[cfg(feature = "demo")]
        Some(Command::Simulate(_)) => Ok(0),
        Some(Command::Docs(_) | Command::Key(_) | Command::Version(_)) => Ok(0),
        None if std::io::stdin().is_terminal() => {
            let help = Top::from_args(&["jumpvisor"], &["--help"]).err();
            Ok(print::early(&help.map(|it| it.output).unwrap_or_default(), true))
        }
        None => stdio(&top, &config),
    }
}

/// Speaks MCP on standard input and output.
fn stdio(top: &Top, config: &Config) -> Result<u8> {
    let offer = offer(top, config, false)?;
    let sink = crate::app::sink(config);
    serve::stdio(crate::app::gate(config, servers(top, config)?, offer, sink)?, config)
}

/// The servers that calls go to.
fn servers(top: &Top, config: &Config) -> Result<Vec<Server>> {
    let asked = top.demo || matches!(top.command, Some(Command::Demo(_)));
    #[cfg(feature = "demo")]
    if asked {
        return demo::servers(config, &choices(top));
    }
    if asked {
        return Err(Error::new(
            Kind::Unsupported,
            "this program was built without the simulated servers",
        )
        .hint("Build it with the feature `demo`, which is on by default"));
    }
    if top.state.is_some() || top.faults.is_some() || top.clock.is_some() {
        return Err(Error::usage("--state, --faults and --clock are for simulated servers")
            .hint("Add --demo"));
    }
    crate::app::servers(config)
}

#[cfg(feature = "demo")]
fn choices(top: &Top) -> demo::Choices<'_> {
    let (state, faults) = (top.state.as_deref(), top.faults.as_deref());
    demo::Choices { state, faults, clock: top.clock.as_deref() }
}

fn configuration(top: &Top) -> Result<Config> {
    let mut set: Vec<(&'static str, String)> = Vec::new();
    let given = [
        ("TOOLSETS", top.toolsets.clone()),
        ("READ_ONLY", top.read_only.then(|| "true".to_owned())),
        ("NO_DESTRUCTIVE", top.no_destructive.then(|| "true".to_owned())),
        ("APPROVAL", top.approval.clone()),
        ("AUDIT_LOG", top.audit_log.clone()),
        ("LOG_LEVEL", top.log_level.clone()),
        ("CALL_TIMEOUT", top.call_timeout.clone()),
    ];
    for (name, value) in given {
        set.extend(value.map(|value| (name, value)));
    }
    let config = top.config.clone();
    let serve = matches!(top.command, Some(Command::Serve(_)));
    let flags = Flags { config, set, serve, wrong_toolsets: Some(wrong_toolsets) };
    let loaded = load(&flags, &Environment::process());
    // Told together with all else that is wrong, by every command: what `check` lets pass, works.
    let mut unknown = Vec::new();
    for (flag, names) in [("--tools", &top.tools), ("--exclude-tools", &top.exclude_tools)] {
        let error = Offer::parse(None, names, "").err();
        unknown.extend(error.map(|it| Problem::new(flag, it.to_string())));
    }
    match loaded {
        Ok(config) if unknown.is_empty() => Ok(config),
        Ok(_) => Err(refusal(&unknown)),
        Err(mut problems) => {
            problems.append(&mut unknown);
            Err(refusal(&problems))
        }
    }
}

fn wrong_toolsets(text: &str) -> Option<String> {
    Offer::parse(Some(text), "", "").err().map(|error| error.to_string())
}

/// The tools on offer. The command line has them all, whatever TOOLSETS says, unless a flag asks.
fn offer(top: &Top, config: &Config, command_line: bool) -> Result<Offer> {
    let chosen = match command_line {
        true => top.toolsets.as_deref(),
        false => config.toolsets.as_deref(),
    };
    let offer = match (command_line, chosen, top.tools.is_empty()) {
        (true, None, true) => Offer::parse(Some("all"), "", &top.exclude_tools)?,
        _ => Offer::parse(chosen, &top.tools, &top.exclude_tools)?,
    };
    Ok(offer.read_only(config.read_only).no_destructive(config.no_destructive))
}

/// Global flags that were typed after the command, moved before it.
fn hoisted(args: Vec<String>) -> Vec<String> {
    const WITH_VALUE: &[&str] = &[
        "--config",
        "--toolsets",
        "--tools",
        "--exclude-tools",
        "--approval",
        "--audit-log",
        "--log-level",
        "--call-timeout",
        "--clock",
        "--faults",
        "--state",
    ];
    const ALONE: &[&str] = &["--demo", "--read-only", "--no-destructive"];
    let (mut front, mut rest) = (Vec::new(), Vec::new());
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (arg.clone(), None),
        };
        if arg == "--" {
            rest.push(arg);
            rest.extend(args.by_ref());
        } else if WITH_VALUE.contains(&name.as_str()) {
            front.push(name);
            front.extend(value.or_else(|| args.next()));
        } else if ALONE.contains(&arg.as_str()) {
            front.push(arg);
        } else {
            rest.push(arg);
        }
    }
    front.extend(rest);
    front
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn global_flags_may_follow_the_command() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            hoisted(words("call list_vms --config=f --read-only name=--x --json -- --tools a")),
            words("--config f --read-only call list_vms name=--x --json -- --tools a")
        );
    }
}
