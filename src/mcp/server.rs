//! The methods, whatever carries them: a request becomes an answer at once, or work for later.
//!
//! Nothing here touches a hypervisor, remembers more of a client than its tasks or waits, so that the
//! first answer comes at once. Surprising: the era is decided for each request, never for a connection.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::auth::principal::Principal;
use crate::mcp::ask;
use crate::mcp::body::Body;
use crate::mcp::complete;
use crate::mcp::era;
use crate::mcp::era::Era;
use crate::mcp::lists;
use crate::mcp::rpc::{Answer, Failure, INTERNAL, Id, NO_METHOD, Request};
use crate::mcp::tasks;
use crate::mcp::tasks::{Needs, Task, Tasks};
use crate::mcp::watch;
use crate::mcp::watch::Watch;
use crate::mcp::work::{Todo, Work};
use crate::text::json;
use crate::text::json::{Object, Value};
use crate::tools::Level;
use crate::tools::offer::Offer;
use crate::tools::prompts;
use crate::tools::resources;
use crate::tools::rights;
use crate::tools::run::Gate;

/// How long a client may keep what only a restart can change.
const LIST_TTL_MS: Option<u32> = Some(60_000);

/// What a model should know before its first call; told once instead of in every schema.
pub const INSTRUCTIONS: &str = "\
jumpvisor manages virtual machines on VMware ESXi hosts and vCenter servers.
Servers: every tool also takes `host`, one of the names that list_servers shows; left out, it is \
the default server. Lists also take host=all, which adds a `host` column.
VMs: name one by its name, id or inventory path. A name that fits several VMs is refused with the \
candidates; moid:vm-12, uuid:... or path:/DC/vm/web force one reading. Start with list_vms.
Answers: every tool takes response_format, concise (default) or detailed. Lists come in pages: \
where there is more, the answer names the next `offset`; filter rather than read everything.
Changes: every changing tool takes dry_run=true, which only says what would happen and what would \
be lost; use it before anything that destroys, and tell the user. What needs approval is not done \
yet: show the plan to the user; if they agree, call again with its approval_token. A \
state that already holds is a success. Long work reports progress and may be cancelled; \
timeout_seconds bounds it. After a timeout look at the state first.
Failures say what to do next; do that rather than repeat the call.
Resources: esxi://vms, esxi://hosts, esxi://datastores, esxi://networks and more as JSON, of a \
named server as esxi://{host}/vms.
Passwords of servers are never arguments. For guests pass credential=NAME where one is configured, \
not a password.
Families of tools that you miss (disk, nic, guest, host, vcenter, api ...) are added by who runs \
this with TOOLSETS.";

/// The protocol over one gate; cheap to clone.
#[derive(Clone)]
pub struct Server {
    gate: Arc<Gate>,
    page: usize,
    /// Its connection carries subscriptions.
    watching: bool,
    tasks: Arc<Tasks>,
}

/// What becomes of a request.
pub enum Step {
    /// The answer; nothing had to be asked.
    Now(Answer),
    /// It may take long and belongs on a worker.
    Later(Work),
    /// A subscription of this connection.
    Watch(Watch),
}

impl Server {
    /// `page` is how many entries a list shows at once.
    pub fn new(gate: Arc<Gate>, page: usize) -> Server {
        Server { gate, page, watching: false, tasks: Tasks::new(tasks::PATIENCE) }
    }

    /// The same where calls become tasks after this time.
    pub fn patient(self, patience: Duration) -> Server {
        Server { tasks: Tasks::new(patience), ..self }
    }

    /// A call of this caller that becomes a task if it takes long; None where it may not, or cannot.
    pub fn prepare(&self, work: &Work, who: &Principal) -> Option<Arc<Task>> {
        self.prepare_for(Some(work.needs()?), who)
    }

    /// The same for work that needs these rights, or none.
    pub fn prepare_for(&self, needs: Option<Needs>, who: &Principal) -> Option<Arc<Task>> {
        let task = self.tasks.prepare(&who.id, needs);
        task.inspect_err(|why| log::warn!("a call cannot become a task: {why}")).ok()
    }

    /// The same for a connection that carries subscriptions.
    pub fn watching(self) -> Server {
        Server { watching: true, ..self }
    }

    /// Whether there are resources to subscribe to.
    fn has_news(&self) -> bool {
        self.watching && resources::has_consoles(&self.gate.offer)
    }

    /// Answers a request of this caller, or says what must be done for its answer. A defect ends this
    /// request only.
    pub fn handle(&self, request: &Request, who: &Principal) -> Step {
        let step = catch_unwind(AssertUnwindSafe(|| self.step(request, who)));
        step.unwrap_or_else(|_| {
            log::error!("a defect ended the request {} {}", request.id.json(), request.method);
            Err(Failure::new(
                INTERNAL,
                "a defect of jumpvisor ended this request; its log says more",
            ))
        })
        .unwrap_or_else(|failure| Step::Now(Err(failure)))
    }

    fn step(&self, request: &Request, who: &Principal) -> Result<Step, Failure> {
        let params = &request.params;
        let era = era::of(params)?;
        let listed = |body: Body| Step::Now(Ok(era.finish(body, Body::new(), LIST_TTL_MS)));
        let plain = |body: Body| Step::Now(Ok(era.finish(body, Body::new(), None)));
        let later = |todo| {
            let as_task = era == Era::Modern && tasks::declared(params);
            let token = token(params);
            Ok(Step::Later(Work { gate: self.gate.clone(), era, todo, token, as_task }))
        };
        let offer = &self.gate.offer.up_to(who.highest().unwrap_or(Level::Read));
        match (request.method.as_str(), era) {
            ("initialize", Era::Legacy) => self.initialize(offer, params).map(plain),
            ("ping", Era::Legacy) => Ok(plain(Body::new())),
            ("logging/setLevel", Era::Legacy) => level(params).map(|()| plain(Body::new())),
            ("server/discover", Era::Modern) => Ok(listed(self.discover(offer))),
            ("server/discover", Era::Legacy) => Err(era::no_envelope(params)),
            ("tools/list", _) => lists::tools(offer, params, self.page).map(listed),
            ("tools/call", _) => later(Todo::Call {
                name: lists::named(params, "name")?.to_owned(),
                arguments: lists::object(params, "arguments")?,
                brought: match era {
                    Era::Modern => ask::brought(params)?,
                    Era::Legacy => None,
                },
            }),
            ("resources/list", _) => {
                lists::resources(self.default_for(who), params, self.page).map(listed)
            }
            ("resources/templates/list", _) => {
                lists::templates(offer, params, self.page).map(listed)
            }
            ("resources/read", _) => {
                later(Todo::Read { uri: lists::named(params, "uri")?.to_owned() })
            }
            ("prompts/list", _) if prompts(offer) => {
                lists::prompts(offer, params, self.page).map(listed)
            }
            ("prompts/get", _) if prompts(offer) => {
                let body = lists::filled(offer, params)?;
                let mut args = params.clone();
                args.remove("_meta");
                later(Todo::Prompt { args, body })
            }
            ("completion/complete", _) if prompts(offer) => {
                later(Todo::Complete(complete::read(offer, params)?))
            }
            ("resources/subscribe", Era::Legacy) if self.has_news() => {
                Ok(Step::Watch(Watch::Subscribe(lists::named(params, "uri")?.to_owned())))
            }
            ("resources/unsubscribe", Era::Legacy) if self.has_news() => {
                Ok(Step::Watch(Watch::Unsubscribe(lists::named(params, "uri")?.to_owned())))
            }
            ("subscriptions/listen", Era::Modern) if self.watching => {
                Ok(Step::Watch(self.wanted(params, who)?))
            }
            ("tasks/get", Era::Modern) => Ok(plain(self.task(params, who)?.detailed())),
            ("tasks/update", Era::Modern) => {
                let task = self.task(params, who)?;
                task.answer(&lists::object(params, "inputResponses")?);
                Ok(plain(Body::new()))
            }
            ("tasks/cancel", Era::Modern) => {
                self.task(params, who)?.cancel();
                Ok(plain(Body::new()))
            }
            (method, _) => {
                let said = format!("no method `{}`", crate::error::quoted(method));
                Err(Failure::new(NO_METHOD, said))
            }
        }
    }

    fn initialize(&self, offer: &Offer, params: &Object) -> Result<Body, Failure> {
        let asked = lists::named(params, "protocolVersion")?;
        let [newest, ..] = era::LEGACY;
        let version = era::LEGACY.into_iter().find(|it| *it == asked).unwrap_or(newest);
        Ok(Body::new()
            .text("protocolVersion", version)
            .object("capabilities", self.capabilities(offer).object("logging", Body::new()))
            .object("serverInfo", era::server_info())
            .text("instructions", INSTRUCTIONS))
    }

    fn discover(&self, offer: &Offer) -> Body {
        Body::new()
            .raw("supportedVersions", &json::write(&json::texts(&era::supported())))
            .object(
                "capabilities",
                self.capabilities(offer).object("extensions", tasks::extensions()),
            )
            .text("instructions", INSTRUCTIONS)
    }

    /// The task that a request is about, for one who began it and may still do so.
    fn task(&self, params: &Object, who: &Principal) -> Result<Arc<Task>, Failure> {
        if !tasks::declared(params) {
            return Err(tasks::undeclared());
        }
        self.task_of(lists::named(params, "taskId")?, who).ok_or_else(|| {
            Failure::params(
                "no task of yours has this id; its result is kept for an hour after its end, by the \
                 process that began it",
            )
        })
    }

    fn task_of(&self, id: &str, who: &Principal) -> Option<Arc<Task>> {
        let may = |it: &Needs| {
            let host = it.host.as_deref();
            rights::level(&self.gate.fleet, who, it.tool.name, it.tool.level, host).is_ok()
        };
        self.tasks.find(id, &who.id).filter(|it| it.needs.as_ref().is_none_or(may))
    }

    /// What an open request is to hear of; of all else that it asks for there is nothing.
    fn wanted(&self, params: &Object, who: &Principal) -> Result<Watch, Failure> {
        let wanted = lists::object(params, "notifications")?;
        let uris = texts(&wanted, "resourceSubscriptions")?;
        let ids = texts(&wanted, "taskIds")?;
        if !ids.is_empty() && !tasks::declared(params) {
            return Err(tasks::undeclared());
        }
        let uris = if self.has_news() { uris } else { Vec::new() };
        let tasks = ids.iter().filter_map(|id| self.task_of(id, who)).collect();
        Ok(Watch::Listen { uris, tasks })
    }

    fn capabilities(&self, offer: &Offer) -> Body {
        let resources = match self.has_news() {
            true => Body::new().flag("subscribe", true),
            false => Body::new(),
        };
        let all = Body::new().object("tools", Body::new()).object("resources", resources);
        match prompts(offer) {
            true => all.object("prompts", Body::new()).object("completions", Body::new()),
            false => all,
        }
    }

    /// Whether the resources without a server's name, which are the default server's, are a caller's.
    fn default_for(&self, who: &Principal) -> bool {
        let fleet = &self.gate.fleet;
        fleet.servers().is_empty() || rights::server(fleet, who, None).is_ok()
    }
}

fn prompts(offer: &Offer) -> bool {
    prompts::offered(offer).next().is_some()
}

/// A list of things to hear of.
fn texts(wanted: &Object, name: &str) -> Result<Vec<String>, Failure> {
    let texts = match wanted.get(name) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(all)) if all.len() <= watch::MOST => all
            .iter()
            .map(|it| match it {
                Value::String(text) => Some(text.clone()),
                _ => None,
            })
            .collect(),
        Some(_) => None,
    };
    let most = watch::MOST;
    texts.ok_or_else(|| Failure::params(format!("`{name}` must be a list of up to {most} strings")))
}

/// Our log goes to stderr whatever a client wants; its wish is checked and thanked for.
fn level(params: &Object) -> Result<(), Failure> {
    const LEVELS: [&str; 8] =
        ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];
    match LEVELS.contains(&lists::named(params, "level")?) {
        true => Ok(()),
        false => Err(Failure::params(format!("`level` must be one of {}", LEVELS.join(", ")))),
    }
}

/// By what the client will know our progress; one of the wrong sort is as good as none.
fn token(params: &Object) -> Option<Id> {
    match params.get("_meta") {
        Some(Value::Object(meta)) => meta.get("progressToken").and_then(Id::of),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Audit, Sink};
    use crate::hv::fleet::Fleet;
    use crate::mcp::rpc;
    use crate::mcp::rpc::Message;
    use crate::metrics::Metrics;
    use crate::tools::run::Caller;

    const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

    fn server(offer: Offer) -> Server {
        let gate = Gate {
            files: crate::files::Files::anywhere(),
            fleet: Fleet::new(Vec::new()),
            offer,
            audit: Audit::new(Sink::Nowhere, false),
            metrics: Arc::new(Metrics::new()),
            consoles: crate::serial::hub::Hub::default(),
            approval: crate::tools::approval::Approval::off(),
            call_timeout: Duration::from_secs(30),
            cap: 60_000,
        };
        Server::new(Arc::new(gate), 100)
    }

    fn ask(server: &Server, method: &str, params: &str) -> Answer {
        let text =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#);
        let Ok(Some(Message::Request(request))) = rpc::parse(text.as_bytes()) else {
            panic!("{text}")
        };
        match server.handle(&request, &Principal::local("ryan")) {
            Step::Now(answer) => answer,
            Step::Later(work) if method == "prompts/get" => work.run(Caller::local("ryan")),
            Step::Later(_) => Ok("later".to_owned()),
            Step::Watch(_) => Ok("watch".to_owned()),
        }
    }

    #[test]
    fn instructions_are_short_enough_to_be_read() {
        assert!(INSTRUCTIONS.len() <= 1_500, "{}", INSTRUCTIONS.len());
    }

    #[test]
    fn versions_are_negotiated_in_both_eras() {
        let server = server(Offer::default());
        for version in era::LEGACY {
            let result =
                ask(&server, "initialize", &format!(r#""protocolVersion":"{version}""#)).unwrap();
            assert!(result.starts_with(&format!(r#"{{"protocolVersion":"{version}","capabilities":{{"tools":{{}},"resources":{{}},"prompts":{{}},"completions":{{}},"logging":{{}}}},"serverInfo""#)), "{result}");
            assert!(!result.contains("resultType") && !result.contains("_meta"));
        }
        for other in ["2026-07-28", "1999-01-01"] {
            let result =
                ask(&server, "initialize", &format!(r#""protocolVersion":"{other}""#)).unwrap();
            assert!(result.contains(r#""protocolVersion":"2025-11-25""#));
        }
        let result = ask(&server, "server/discover", META).unwrap();
        for part in [
            r#""supportedVersions":["2026-07-28","2025-11-25""#,
            "ttlMs",
            "private",
            "instructions",
            "serverInfo",
        ] {
            assert!(result.contains(part), "{part} in {result}");
        }
        assert!(!result.contains("logging"));
        assert_eq!(ask(&server, "server/discover", "").unwrap_err().code, -32602);
    }

    #[test]
    fn methods_of_the_other_era_and_unknown_ones_do_not_exist() {
        let server = server(Offer::default());
        for method in [
            "initialize",
            "ping",
            "logging/setLevel",
            "resources/subscribe",
            "subscriptions/listen",
            "x",
        ] {
            assert_eq!(ask(&server, method, META).unwrap_err().code, -32601, "{method}");
        }
        for method in ["resources/subscribe", "tasks/get", "", "tools/List"] {
            assert_eq!(ask(&server, method, "").unwrap_err().code, -32601, "{method}");
        }
        assert_eq!(ask(&server, "ping", "").unwrap(), "{}");
        assert_eq!(ask(&server, "logging/setLevel", r#""level":"debug""#).unwrap(), "{}");
        assert_eq!(ask(&server, "logging/setLevel", r#""level":"loud""#).unwrap_err().code, -32602);
    }

    #[test]
    fn subscriptions_are_for_connections_that_carry_them_and_consoles_on_offer() {
        let with = |toolsets| server(Offer::parse(Some(toolsets), "", "").unwrap());
        let said = |server: &Server| {
            let hello = ask(server, "initialize", r#""protocolVersion":"2025-11-25""#).unwrap();
            hello.contains(r#""resources":{"subscribe":true}"#)
        };
        assert!(!said(&with("serial")) && !said(&with("vm").watching()));
        let server = with("serial").watching();
        assert!(said(&server));
        let uri = r#""uri":"serial://a""#;
        assert_eq!(ask(&server, "resources/subscribe", uri).unwrap(), "watch");
        assert_eq!(ask(&server, "resources/unsubscribe", uri).unwrap(), "watch");
        assert_eq!(ask(&server, "subscriptions/listen", uri).unwrap_err().code, -32601);
        assert_eq!(ask(&server, "resources/subscribe", META).unwrap_err().code, -32601);
        for (uris, fits) in
            [("[]", true), (r#"["serial://a"]"#, true), ("[1]", false), ("5", false)]
        {
            let params = format!(r#""notifications":{{"resourceSubscriptions":{uris}}},{META}"#);
            assert_eq!(ask(&server, "subscriptions/listen", &params).is_ok(), fits, "{uris}");
        }
    }

    #[test]
    fn cacheable_results_say_so_and_only_they() {
        let server = server(Offer::default());
        for method in [
            "server/discover",
            "tools/list",
            "resources/list",
            "resources/templates/list",
            "prompts/list",
        ] {
            let result = ask(&server, method, META).unwrap();
            assert!(
                result.contains(
                    r#""resultType":"complete","ttlMs":60000,"cacheScope":"private","_meta""#
                ),
                "{result}"
            );
        }
        let prompt = format!(r#""name":"make_vm","arguments":{{"purpose":"x"}},{META}"#);
        let result = ask(&server, "prompts/get", &prompt).unwrap();
        assert!(result.contains("resultType") && !result.contains("ttlMs"));
    }

    #[test]
    fn prompts_vanish_with_their_tools() {
        let server = server(Offer::parse(None, "list_vms", "").unwrap());
        let result = ask(&server, "initialize", r#""protocolVersion":"2025-11-25""#).unwrap();
        assert!(!result.contains("\"prompts\"") && !result.contains("\"completions\""));
        for method in ["prompts/list", "prompts/get", "completion/complete"] {
            assert_eq!(ask(&server, method, META).unwrap_err().code, -32601, "{method}");
        }
    }

    #[test]
    fn calls_are_checked_before_they_are_queued() {
        let server = server(Offer::default());
        for (method, params) in [
            ("tools/call", ""),
            ("tools/call", r#""name":5"#),
            ("tools/call", r#""name":"list_vms","arguments":[]"#),
            ("resources/read", ""),
            ("completion/complete", ""),
        ] {
            assert_eq!(ask(&server, method, params).unwrap_err().code, -32602, "{method}");
        }
        assert_eq!(
            ask(&server, "tools/call", r#""name":"list_vms","arguments":null"#).unwrap(),
            "later"
        );
    }
}
