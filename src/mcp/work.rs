//! Requests that may take long: a tool's call, a resource, a completion.
//!
//! It runs on any thread and hands back the answer; where it came from and whether anybody still
//! wants it is not known here. Surprising: a tool that fails is a good result with `isError`, so
//! that the model can act on it; only unknown tools and our own defects are protocol errors.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::auth::principal::Principal;
use crate::error::{Error, Kind};
use crate::hv::call::{Call, Cancel, Rights};
use crate::mcp::ask;
use crate::mcp::body::Body;
use crate::mcp::complete;
use crate::mcp::complete::Wanted;
use crate::mcp::era::Era;
use crate::mcp::link::Deed;
use crate::mcp::rpc::{Answer, Failure, INTERNAL, INVALID_PARAMS, Id, NO_RESOURCE};
use crate::mcp::tasks::Needs;
use crate::text::base64;
use crate::text::json;
use crate::text::json::Object;
use crate::tools::args;
use crate::tools::completions;
use crate::tools::reply::Shown;
use crate::tools::resources;
use crate::tools::rights;
use crate::tools::run::{Brought, Caller, Gate, Outcome, correlation_id, error_object};
use crate::tools::{Effect, find};

/// The key of our error in `_meta`.
pub const ERROR_KEY: &str = "jumpvisor/error";

/// A request that was checked and waits to be run.
pub struct Work {
    pub(crate) gate: Arc<Gate>,
    pub(crate) era: Era,
    pub(crate) todo: Todo,
    pub(crate) token: Option<Id>,
    /// Its client knows tasks.
    pub(crate) as_task: bool,
}

/// What is to be done.
pub enum Todo {
    Call {
        name: String,
        arguments: Object,
        brought: Option<Brought>,
    },
    Complete(Wanted),
    Read {
        uri: String,
    },
    /// A prompt that is filled in already; there is only its line in the audit log to be written.
    Prompt {
        args: Object,
        body: Body,
    },
}

impl Work {
    /// By what the client wants to hear of progress.
    pub fn progress_token(&self) -> Option<&Id> {
        self.token.as_ref()
    }

    /// Whether its client may be sent requests of ours.
    pub fn is_legacy(&self) -> bool {
        self.era == Era::Legacy
    }

    /// Whether it asks nobody, so that a thread of its own would be most of what it costs. Its line in
    /// the audit log must not make anybody wait either.
    pub fn is_short(&self) -> bool {
        match &self.todo {
            Todo::Call { name, .. } => rights::of_no_server(name) && self.gate.audit.is_quick(),
            _ => false,
        }
    }

    /// What one must have the right to who looks after it as a task; None where it cannot be one.
    pub fn needs(&self) -> Option<Needs> {
        match &self.todo {
            Todo::Call { name, arguments, .. } if self.as_task => {
                let host = json::get_text(arguments, args::HOST.name).map(str::to_owned);
                find(name).map(|(_, tool)| Needs { tool, host })
            }
            _ => None,
        }
    }

    /// What it is, for who waits for its end.
    pub fn deed(&self) -> Deed {
        let (name, changes) = match &self.todo {
            Todo::Call { name, .. } => match find(name) {
                Some((_, tool)) => (tool.name, tool.effect != Effect::Reads),
                None => ("tools/call", false),
            },
            Todo::Complete(_) => ("completion/complete", false),
            Todo::Read { .. } => ("resources/read", false),
            Todo::Prompt { .. } => ("prompts/get", false),
        };
        Deed { name, changes }
    }

    /// Does it. A defect ends this request only.
    pub fn run(self, caller: Caller) -> Answer {
        let (era, is_call) = (self.era, matches!(self.todo, Todo::Call { .. }));
        catch_unwind(AssertUnwindSafe(|| self.answer(caller))).unwrap_or_else(|_| {
            let error = Error::bug("a defect of jumpvisor ended this request");
            failed(era, is_call, &error, &correlation_id())
        })
    }

    /// Why the caller will be denied this tool, if it is for want of rights.
    pub fn lacks(&self, who: &Principal) -> Option<Error> {
        match &self.todo {
            Todo::Call { name, arguments, .. } => self.gate.lacks(name, arguments, who),
            _ => None,
        }
    }

    /// The answer where it is not even begun.
    pub fn refuse(&self, error: &Error) -> Answer {
        failed(self.era, matches!(self.todo, Todo::Call { .. }), error, &correlation_id())
    }

    fn answer(self, caller: Caller) -> Answer {
        let (gate, era) = (self.gate, self.era);
        match self.todo {
            Todo::Call { name, arguments, brought } => {
                match gate.call(&name, arguments, caller.bringing(brought)) {
                    Outcome::Answer(shown) => Ok(shown_result(era, &shown)),
                    Outcome::Failed { error, correlation } => {
                        failed(era, true, &error, &correlation)
                    }
                    Outcome::Unknown(error) => Err(Failure::params(error.to_string())),
                    Outcome::Asks { question, state } => Ok(ask::sent_back(&question, &state)),
                }
            }
            Todo::Read { uri } => read(&gate, era, &uri, caller),
            Todo::Prompt { args, body } => {
                gate.noted(&caller.who, "prompts/get", args).end(None);
                Ok(era.finish(body, Body::new(), None))
            }
            Todo::Complete(wanted) => {
                let mut args = json::object([
                    ("argument", json::text(&wanted.name)),
                    ("value", json::text(&wanted.begun)),
                ]);
                let server = wanted.server.as_deref();
                if let Some(server) = server {
                    args.insert("host".to_owned(), json::text(server));
                }
                let mut noted = gate.noted(&caller.who, "completion/complete", args);
                let call = reading(&gate, caller.cancel.clone());
                let (values, total) = completions::complete(
                    &gate.fleet,
                    &caller.who,
                    &call,
                    &wanted.name,
                    &wanted.begun,
                    server,
                );
                noted.end(None);
                Ok(era.finish(complete::result(&values, total), Body::new(), None))
            }
        }
    }
}

/// A call that only reads.
pub(crate) fn reading(gate: &Gate, cancel: Cancel) -> Call {
    Call::new(Rights::ReadOnly).cancelled_by(cancel).within(gate.call_timeout)
}

fn read(gate: &Gate, era: Era, uri: &str, caller: Caller) -> Answer {
    let args = json::object([("uri", json::text(uri))]);
    let mut noted = gate.noted(&caller.who, "resources/read", args);
    let result = resources::read(gate, &reading(gate, caller.cancel), &caller.who, uri, &mut noted);
    noted.end(result.as_ref().err());
    match result {
        Ok(text) => {
            let content = Body::new().text("uri", uri).text("mimeType", "application/json");
            let contents = [content.text("text", &text).json()];
            // Machines change under it: to be asked again each time.
            Ok(era.finish(Body::new().array("contents", &contents), Body::new(), Some(0)))
        }
        Err(error) => refused_as(era, uri, error, &noted.correlation),
    }
}

/// The answer to a resource that cannot be had.
pub(crate) fn refused(era: Era, uri: &str, error: Error) -> Answer {
    refused_as(era, uri, error, &correlation_id())
}

/// The same under the id that its line in the audit log has.
pub(crate) fn refused_as(era: Era, uri: &str, error: Error, correlation: &str) -> Answer {
    if error.kind() == Kind::NotFound {
        let code = if era == Era::Modern { INVALID_PARAMS } else { NO_RESOURCE };
        let data = json::object([("uri", json::text(uri))]);
        return Err(Failure::new(code, error.to_string()).with(data));
    }
    failed(era, false, &error.during(format!("`{uri}`")), correlation)
}

fn text_content(text: &str) -> [String; 1] {
    [Body::new().text("type", "text").text("text", text).json()]
}

fn shown_result(era: Era, shown: &Shown) -> String {
    let [text] = text_content(&shown.text);
    let picture = shown.picture.as_ref().map(|it| {
        let data = base64::encode(&it.bytes);
        Body::new().text("type", "image").text("data", &data).text("mimeType", it.mime).json()
    });
    let content: Vec<String> = picture.into_iter().chain([text]).collect();
    let mut body = Body::new()
        .array("content", &content)
        .raw("structuredContent", &json::write_object(&shown.data));
    if shown.all_failed {
        body = body.flag("isError", true);
    }
    era.finish(body, Body::new(), None)
}

fn failed(era: Era, is_call: bool, error: &Error, correlation: &str) -> Answer {
    if error.kind() == Kind::Bug {
        let said = error.to_string();
        let said = match said.contains(correlation) {
            true => said,
            false => {
                log::error!("{correlation}: {said}");
                format!("{said} (correlation id {correlation})")
            }
        };
        return Err(Failure::new(INTERNAL, said).with(error_object(error, correlation)));
    }
    if !is_call {
        return Err(
            Failure::new(INTERNAL, error.to_string()).with(error_object(error, correlation))
        );
    }
    let body =
        Body::new().array("content", &text_content(&error.to_string())).flag("isError", true);
    let meta = Body::new().raw(ERROR_KEY, &json::write_object(&error_object(error, correlation)));
    Ok(era.finish(body, meta, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_tools_are_results_and_defects_are_not() {
        let error =
            Error::new(Kind::Remote, "the host refused").fault("InvalidPowerState").hint("Look");
        let result = failed(Era::Legacy, true, &error, "c0ffee").unwrap();
        assert_eq!(
            result,
            r#"{"content":[{"type":"text","text":"the host refused. Look"}],"isError":true,"_meta":{"jumpvisor/error":{"correlation_id":"c0ffee","fault":"InvalidPowerState","hint":"Look","kind":"remote","message":"the host refused"}}}"#
        );
        let result = failed(Era::Modern, true, &error, "c0ffee").unwrap();
        assert!(result.contains(r#""resultType":"complete""#) && result.contains("serverInfo"));
        let failure = failed(Era::Modern, true, &Error::bug("broken"), "c0ffee").unwrap_err();
        assert_eq!(
            (failure.code, failure.message.as_str()),
            (-32603, "broken (correlation id c0ffee)")
        );
        let data = failure.data.unwrap();
        assert_eq!(json::get_text(&data, "correlation_id"), Some("c0ffee"));
        let failure = failed(Era::Legacy, false, &error, "c0ffee").unwrap_err();
        assert_eq!(json::get_text(&failure.data.unwrap(), "kind"), Some("remote"));
    }

    #[test]
    fn a_batch_that_failed_as_a_whole_is_an_error() {
        let shown = |all_failed| Shown {
            text: "t".to_owned(),
            data: json::object([("total", json::int(2))]),
            table: None,
            note: None,
            some_failed: true,
            all_failed,
            picture: None,
        };
        let start = r#"{"content":[{"type":"text","text":"t"}],"structuredContent":{"total":2}"#;
        assert_eq!(shown_result(Era::Legacy, &shown(false)), format!("{start}}}"));
        assert_eq!(shown_result(Era::Legacy, &shown(true)), format!("{start},\"isError\":true}}"));
    }
}
