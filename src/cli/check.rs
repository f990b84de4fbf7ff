//! `jumpvisor check`: tries the configuration and says what to do for each failure.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use crate::audit::{Audit, Sink};
use crate::cli::{CheckCommand, print};
use crate::config::{Config, Found};
use crate::error::Result;
use crate::hv::call::{Call, Rights};
use crate::hv::fleet::Server;
use crate::hv::model::{Check, Outcome};
use crate::text::json;
use crate::text::json::{Array, Object, Value};
use crate::threads::side_by_side;
use crate::tools::offer::Offer;

/// Prints what was found and tries every server; 0 when all is well, 1 when something failed.
pub fn run(config: &Config, servers: Vec<Server>, command: &CheckCommand) -> Result<u8> {
    let gate = crate::app::gate(config, servers, Offer::everything(), Sink::Nowhere)?;
    let call = Call::new(Rights::ReadOnly).within(config.call_timeout);
    let servers = gate.fleet.servers();
    let results: Vec<Mutex<Vec<Check>>> = servers.iter().map(|_| Mutex::default()).collect();
    side_by_side(servers.len(), &|at| {
        if let (Some(server), Some(result)) = (servers.get(at), results.get(at)) {
            let steps = catch_unwind(AssertUnwindSafe(|| server.host.check(&call)));
            *result.lock().unwrap_or_else(PoisonError::into_inner) = steps.unwrap_or_default();
        }
    });
    let steps = |it: Mutex<Vec<Check>>| it.into_inner().unwrap_or_else(PoisonError::into_inner);
    let results: Vec<Vec<Check>> = results.into_iter().map(steps).collect();
    gate.fleet.close();
    let audit = Audit::new(crate::app::sink(config), config.audit_required).tried();
    let daemon = crate::app::trial::tried(config);
    let failed = servers.is_empty()
        || daemon.iter().any(|it| it.outcome == Outcome::Bad)
        || audit.iter().any(|it| it.1.is_some())
        || results
            .iter()
            .any(|steps| steps.is_empty() || steps.iter().any(|step| step.outcome == Outcome::Bad));
    let names = servers.iter().map(|server| (server.name.as_str(), server.host.status().address));
    let tried: Vec<_> = names.zip(&results).collect();
    if command.json {
        print::line(&as_json(config, &audit, &daemon, &tried))?;
    } else {
        print::line(&as_text(&config.found, &audit, &daemon, &tried))?;
    }
    Ok(u8::from(failed))
}

type Sinks = [(String, Option<String>)];

type Tried<'a> = ((&'a str, String), &'a Vec<Check>);

fn as_text(found: &[Found], audit: &Sinks, daemon: &[Check], tried: &[Tried<'_>]) -> String {
    let row = |it: &Found| vec![format!("  {}", it.name), it.value_shown.clone(), it.from.clone()];
    let set: Vec<Vec<String>> = found.iter().filter(|it| it.from != "default").map(row).collect();
    let mut lines = vec!["configuration".to_owned()];
    lines.push(match set.is_empty() {
        true => "  nothing is set; every option has its default".to_owned(),
        false => print::table(&["  name", "value", "from"], &set),
    });
    let spoken = |it: &&(String, Option<String>)| it.0 != "stderr" || it.1.is_some();
    for (at, (sink, trouble)) in audit.iter().filter(spoken).enumerate() {
        if at == 0 {
            lines.push("audit log".to_owned());
        }
        lines.push(match trouble {
            Some(why) => format!("  FAIL  {sink}: {why}"),
            None => format!("  ok    {sink}"),
        });
    }
    if !daemon.is_empty() {
        lines.push("serve".to_owned());
        lines.extend(daemon.iter().map(line));
    }
    if tried.is_empty() {
        lines.push("no server is configured. Set ESXI_HOST, ESXI_USER and ESXI_PASS, or VCENTER_HOST and its kin".to_owned());
    }
    for ((name, address), steps) in tried {
        lines.push(format!("{name} ({address})"));
        lines.extend(steps.iter().map(line));
    }
    lines.join("\n")
}

fn line(step: &Check) -> String {
    let word = match step.outcome {
        Outcome::Good => "ok",
        Outcome::Warning => "warn",
        Outcome::Bad => "FAIL",
    };
    format!("  {word:4}  {:8} {}", step.step, step.text)
}

fn as_json(config: &Config, audit: &Sinks, daemon: &[Check], tried: &[Tried<'_>]) -> String {
    let setting = |it: &Found| {
        Value::Object(json::object([
            ("name", json::text(&it.name)),
            ("value", json::text(&it.value_shown)),
            ("from", json::text(&it.from)),
        ]))
    };
    let step = |it: &Check| {
        let outcome = match it.outcome {
            Outcome::Good => "ok",
            Outcome::Warning => "warning",
            Outcome::Bad => "failed",
        };
        Value::Object(json::object([
            ("step", json::text(it.step)),
            ("outcome", json::text(outcome)),
            ("text", json::text(&it.text)),
        ]))
    };
    let server = |((name, address), steps): &Tried<'_>| {
        Value::Object(json::object([
            ("host", json::text(*name)),
            ("address", json::text(address)),
            ("steps", Value::Array(steps.iter().map(step).collect())),
        ]))
    };
    let sink = |(sink, trouble): &(String, Option<String>)| {
        let mut object = json::object([("sink", json::text(sink))]);
        if let Some(why) = trouble {
            object.insert("trouble".to_owned(), json::text(why));
        }
        Value::Object(object)
    };
    let all: Object = json::object([
        ("audit", Value::Array(audit.iter().map(sink).collect::<Array>())),
        ("configuration", Value::Array(config.found.iter().map(setting).collect::<Array>())),
        ("serve", Value::Array(daemon.iter().map(step).collect())),
        ("servers", Value::Array(tried.iter().map(server).collect::<Array>())),
    ]);
    json::write_object(&all)
}
