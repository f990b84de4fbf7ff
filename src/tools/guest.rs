//! Programs, processes and files inside the guest system.
//!
//! Here is whose login is used, and what runs; what files hold is in `guest_content`, where they lie
//! in `guest_files`. It must not know how a guest is asked. Surprising: an exit code that is not 0 is
//! a success of the call, and so is a program that outlives the wait: what it said so far is worth
//! more than an error.

use std::time::Duration;

use crate::change;
use crate::error::{Error, Kind, Result, quoted};
use crate::hv::guest::{Found, Inside, Login, Output, Process, Program, Ran};
use crate::text::glob;
use crate::text::secret::Secret;
use crate::tools::args;
use crate::tools::args::{Arg, Args, Default};
use crate::tools::ctx::{Ctx, Gathered};
use crate::tools::guest_text;
use crate::tools::plan::Plan;
use crate::tools::reply::{Record, Reply};
use crate::tools::vm::{LIMIT, OFFSET, VM, page};
use crate::tools::{Effect, Level, Run, Tool};

pub static TOOLS: &[Tool] = &[
    Tool {
        name: "run_command_in_guest",
        title: "Run a command in a guest",
        about: "Run a command in a VM through VMware Tools: exit code, stdout, stderr. Waits timeout_seconds (300); cancelling ends it.",
        level: Level::Admin,
        effect: Effect::Destroys,
        idempotent: false,
        args: &[VM, USERNAME, PASSWORD, CREDENTIAL, COMMAND, ARGUMENTS, FOLDER, WAIT, CAPTURE],
        run: change!(plan_run, run),
    },
    Tool {
        name: "list_guest_processes",
        title: "List processes of a guest",
        about: "What runs in a VM: pid, name, owner and command line.",
        level: Level::Admin,
        effect: Effect::Reads,
        idempotent: true,
        args: &[VM, USERNAME, PASSWORD, CREDENTIAL, PROCESS, LIMIT, OFFSET],
        run: Run::Read(list_processes),
    },
    Tool {
        name: "kill_guest_process",
        title: "End a process of a guest",
        about: "End one process in a VM; what it has not saved is lost.",
        level: Level::Admin,
        effect: Effect::Destroys,
        idempotent: false,
        args: &[VM, USERNAME, PASSWORD, CREDENTIAL, PID],
        run: change!(plan_kill, kill),
    },
];

/// With PASSWORD, who logs in to the guest.
pub const USERNAME: Arg = Arg::text("username", "user of the guest");
/// Belongs to USERNAME.
pub const PASSWORD: Arg = Arg::text("password", "that user's").secret();
/// Instead of both.
pub const CREDENTIAL: Arg =
    Arg::text("credential", "name of configured guest credentials, instead of these two");
/// A file or directory in the guest.
pub const PATH: Arg = Arg::text("guest_path", "absolute path in the guest").required();
const COMMAND: Arg = Arg::text(
    "command",
    "line for /bin/sh or cmd.exe; with `arguments`, a program by name or path",
)
.required()
.measured();
const ARGUMENTS: Arg = Arg::text("arguments", "of that program, quoted for the shell").measured();
const FOLDER: Arg = Arg::text("working_directory", "default: the user's home");
const WAIT: Arg = Arg::flag("wait_for_completion", "false: return the pid at once, without output")
    .or(Default::Flag(true));
const CAPTURE: Arg =
    Arg::flag("capture_output", "false: throw the output away").or(Default::Flag(true));
const PROCESS: Arg = Arg::text("process", "glob over names, such as nginx*");
const PID: Arg = Arg::int("pid", "as list_guest_processes shows it", 1, i64::MAX).required();

/// How long a program is waited for.
const PATIENCE: i64 = 300;

/// Bytes of each output that are kept.
const KEPT: usize = 64 << 10;

/// The guest that a call means, entered as the user that it names.
pub fn enter(ctx: &Ctx<'_>, args: &Args) -> Result<Inside> {
    let guest = ctx.guest()?;
    let login = login(ctx, args)?;
    guest.enter(&ctx.call, args.text(VM)?, login)
}

/// Exactly one of user and password, or the name of both.
fn login(ctx: &Ctx<'_>, args: &Args) -> Result<Login> {
    let ways = "Pass `username` and `password`, or `credential`";
    match (args.opt_text(USERNAME), args.opt_text(PASSWORD), args.opt_text(CREDENTIAL)) {
        (Some(user), Some(password), None) => {
            Ok(Login { user: user.to_owned(), password: Secret::new(password) })
        }
        (None, None, Some(name)) => ctx.fleet.login(name).cloned(),
        (None, None, None) => Err(Error::usage("nobody is named to log in to the guest as")),
        (Some(_), None, None) => Err(Error::usage("`password` is missing")),
        (None, Some(_), None) => Err(Error::usage("`username` is missing")),
        _ => Err(Error::usage("`credential` cannot go with `username` and `password`")),
    }
    .map_err(|error| error.hint(ways))
}

/// An absolute path as this guest has them.
pub fn path<'a>(at: &Inside, args: &'a Args) -> Result<&'a str> {
    let path = args.text(PATH)?;
    let bytes = path.as_bytes();
    let (absolute, such) = match at.windows {
        true => {
            let drive =
                matches!(bytes, [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic());
            (drive || path.starts_with(r"\\"), r"C:\Temp\a.txt")
        }
        false => (path.starts_with('/'), "/tmp/a.txt"),
    };
    if absolute && !path.contains('\0') {
        return Ok(path);
    }
    Err(Error::usage(format!("`{}` is no absolute path of the guest", quoted(path)))
        .hint(format!("Write it like {such}")))
}

/// What is at a path.
pub fn look(ctx: &Ctx<'_>, at: &Inside, path: &str) -> Result<Found> {
    ctx.guest()?.look(&ctx.call, at, path).map_err(of(at))
}

/// A guest as steps name it.
pub fn shown(at: &Inside) -> String {
    format!("`{}` ({})", at.machine.name, at.machine.id)
}

/// An error of this machine.
pub fn of(at: &Inside) -> impl Fn(Error) -> Error {
    let name = format!("`{}`", at.machine.name);
    move |error| error.during(name.clone())
}

fn plan_run(ctx: &Ctx<'_>, args: &Args) -> Result<Plan<(Inside, Program)>> {
    let seconds = args.opt_int(args::TIMEOUT).unwrap_or(PATIENCE);
    let wait = args.flag(WAIT);
    let text = |arg| args.opt_text(arg).filter(|it| !it.is_empty()).map(str::to_owned);
    let program = Program {
        command: args.text(COMMAND)?.to_owned(),
        arguments: text(ARGUMENTS),
        folder: text(FOLDER),
        wait: wait.then(|| Duration::from_secs(seconds.unsigned_abs())),
        capture: args.flag(CAPTURE).then_some(KEPT),
    };
    let at = enter(ctx, args)?;
    ctx.guest()?.check(&at, &program).map_err(of(&at))?;
    // Two lines are not to look like one.
    let shown_line = |text: &str| quoted(&text.trim().replace('\n', " ⏎ "));
    let mut line = shown_line(&program.command);
    if let Some(arguments) = &program.arguments {
        line = format!("{line} {}", shown_line(arguments));
    }
    let shell = if at.windows { "cmd.exe" } else { "/bin/sh" };
    let mut steps = vec![format!("`{}` runs in {} by {shell}: {line}", at.login.user, shown(&at))];
    if let Some(folder) = &program.folder {
        steps.push(format!("it begins in `{folder}`"));
    }
    steps.push(match wait {
        true => format!("its end is awaited for {seconds} s"),
        false => "its end is not awaited, and its output is lost".to_owned(),
    });
    let seen = at.machine.id.clone();
    let loss = "whatever the command overwrites, deletes or stops".to_owned();
    Ok(Plan::new(steps, seen, (at, program)).losing(vec![loss]))
}

fn run(ctx: &Ctx<'_>, (at, program): (Inside, Program)) -> Result<Reply> {
    let ran = ctx.guest()?.run(&ctx.call, &at, &program).map_err(of(&at))?;
    Ok(told(&at, &program, ran, ctx.cap))
}

fn told(at: &Inside, program: &Program, ran: Ran, cap: usize) -> Reply {
    let pid = ran.pid;
    let mut said = match (ran.exit_code, program.wait) {
        (Some(code), _) => format!("{}: exit code {code} (pid {pid})", at.machine.name),
        (None, None) => format!("{}: started (pid {pid})", at.machine.name),
        (None, Some(wait)) if ran.running => format!(
            "{}: still runs after {} s (pid {pid}); kill_guest_process ends it",
            at.machine.name,
            wait.as_secs()
        ),
        _ => format!("{}: ended, its exit code is not known (pid {pid})", at.machine.name),
    };
    let mut record = Record::new()
        .text("vm", &at.machine.name)
        .int("pid", pid)
        .flag("running", ran.running)
        .maybe_int("exit_code", ran.exit_code);
    if let Some(folder) = &ran.left {
        said.push_str(&match ran.running {
            true => format!("\nits output goes on in `{folder}`; delete that when it is done"),
            false => format!("\n`{folder}` in the guest could not be removed"),
        });
        record = record.text("output_folder", folder);
    }
    let Some(outputs) = ran.outputs else { return Reply::said(said, record) };
    let room = cap.saturating_sub(1_500);
    // What one leaves free, the other may have.
    let costs = outputs.each_ref().map(|it| guest_text::cost(&String::from_utf8_lossy(&it.bytes)));
    let half = room / 2;
    let rooms = [room.saturating_sub(costs[1]).max(half), room.saturating_sub(costs[0]).max(half)];
    for ((name, output), room) in ["stdout", "stderr"].into_iter().zip(outputs).zip(rooms) {
        let Output { bytes, total } = output;
        let whole = u64::try_from(bytes.len()).is_ok_and(|it| it >= total);
        let (text, odd) = guest_text::lossy(&bytes, whole);
        let kept = guest_text::fitting(&text, room);
        let mut notes = Vec::new();
        if !whole || kept.len() < text.len() {
            notes.push(format!("the first {} of {total} bytes", kept.len()));
            record = record.int(bytes_of(name), i64::try_from(total).unwrap_or(i64::MAX));
        }
        if odd {
            notes.push("not all of it is UTF-8".to_owned());
            record = record.flag(odd_of(name), true);
        }
        if !kept.is_empty() {
            let notes = match notes.is_empty() {
                true => String::new(),
                false => format!(" ({})", notes.join("; ")),
            };
            said.push_str(&format!("\n{name}{notes}:\n{}", kept.trim_end_matches(['\n', '\r'])));
        }
        record = record.text(name, kept);
    }
    Reply::said(said, record)
}

fn bytes_of(name: &str) -> &'static str {
    if name == "stdout" { "stdout_total_bytes" } else { "stderr_total_bytes" }
}

fn odd_of(name: &str) -> &'static str {
    if name == "stdout" { "stdout_not_utf8" } else { "stderr_not_utf8" }
}

fn list_processes(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let at = enter(ctx, args)?;
    let mut all = ctx.guest()?.processes(&ctx.call, &at, &[]).map_err(of(&at))?;
    if let Some(pattern) = args.opt_text(PROCESS) {
        all.retain(|it| glob::matches_any_case(pattern, &it.name));
    }
    let all = crate::text::order::by_number(all, &|it: &Process| it.pid);
    let detailed = args.opt_text(args::RESPONSE_FORMAT) == Some("detailed");
    let found = all.into_iter().map(|it| (None, it)).collect();
    let columns = &["pid", "name", "owner", "command", "exit_code"];
    let row = |it: &Process| process(it, detailed);
    page("processes", columns, Gathered { found, unasked: Vec::new() }, row, args)
}

fn process(it: &Process, detailed: bool) -> Record {
    let command = match it.command.char_indices().nth(160).filter(|_| !detailed) {
        Some((end, _)) => format!("{}…", &it.command[..end]),
        None => it.command.clone(),
    };
    Record::new()
        .int("pid", it.pid)
        .text("name", &it.name)
        .text("owner", &it.owner)
        .text("command", command)
        .text("started", &it.started)
        .maybe_text("ended", it.ended.clone())
        .maybe_int("exit_code", it.exit_code)
}

fn plan_kill(ctx: &Ctx<'_>, args: &Args) -> Result<Plan<(Inside, Process)>> {
    let at = enter(ctx, args)?;
    let pid = args.int(PID)?;
    let found = ctx.guest()?.processes(&ctx.call, &at, &[pid]).map_err(of(&at))?;
    let process = found.into_iter().find(|it| it.pid == pid).ok_or_else(|| {
        Error::new(Kind::NotFound, format!("`{}` has no process {pid}", at.machine.name))
            .hint("list_guest_processes shows what runs")
    })?;
    let seen = format!("{} {pid} {}", at.machine.id, process.started);
    let (name, owner) = (&process.name, &process.owner);
    if process.ended.is_some() {
        return Ok(Plan::new(vec![over(&process)], seen, (at, process)));
    }
    let line = quoted(&process.command);
    let step = format!("`{name}` (pid {pid}) of {owner} in {} is ended: {line}", shown(&at));
    let loss = format!("what `{name}` has not saved");
    Ok(Plan::new(vec![step], seen, (at, process)).losing(vec![loss]))
}

fn over(it: &Process) -> String {
    let code = it.exit_code.map_or(String::new(), |code| format!(" with exit code {code}"));
    format!("`{}` (pid {}) has ended already{code}", it.name, it.pid)
}

fn kill(ctx: &Ctx<'_>, (at, process): (Inside, Process)) -> Result<Reply> {
    let record = Record::new()
        .text("vm", &at.machine.name)
        .int("pid", process.pid)
        .text("name", &process.name)
        .text("owner", &process.owner);
    if process.ended.is_some() {
        return Ok(Reply::said(format!("{}: {}", at.machine.name, over(&process)), record));
    }
    ctx.guest()?.kill(&ctx.call, &at, process.pid).map_err(of(&at))?;
    let said = format!("{}: ended `{}` (pid {})", at.machine.name, process.name, process.pid);
    Ok(Reply::said(said, record))
}
