//! The protocol over HTTP, in both eras, and the few other paths that belong to a service.
//!
//! A request is seen to on the edge's one thread as long as nothing has to be waited for: heads,
//! names, keys, lists. Tokens that may need their issuer and work of every kind go to pools. One more
//! thread looks at all streams, and exists only while there are some. Surprising: the newest era
//! remembers nothing but tasks, and there a client that leaves without an answer has cancelled; in the
//! older one it has not, and only clients that can be asked something have sessions.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::auth::challenge::{ENDPOINT, WELL_KNOWN};
use crate::auth::principal::Principal;
use crate::auth::rate::Limiter;
use crate::auth::signin::Turned;
use crate::mcp::http::call::{Call, Calls, Reply};
use crate::mcp::http::door::{Door, address, host_fits, origin_fits, turned};
use crate::mcp::http::ladder::Refused;
use crate::mcp::http::listens::Listens;
use crate::mcp::http::sessions::{Bounds, Sessions};
use crate::mcp::pool::{Fate, Pool, Size};
use crate::mcp::rpc;
use crate::mcp::server::Server;
use crate::mcp::tasks;
use crate::mcp::watch::PAUSE;
use crate::threads;
use crate::tools::run::{Caller, Gate};
use crate::web::serve::handler::{Answer, Handler, Request, Responder};

pub mod call;
pub mod door;
pub mod ladder;
mod listens;
mod post;
pub mod sessions;

/// Callers whose tokens are being looked at, and those who wait for that.
const AT_THE_DOOR: Size = Size { threads: 4, queue: 64, idle: Duration::from_secs(20) };

/// How long the end waits for work that was told to stop and changes nothing.
const LAST_WORDS: Duration = Duration::from_millis(400);

/// Looks without anything to look at before the thread that looks ends.
const RESTS: u32 = 120;

/// Seconds after which a caller may try again where too much is under way.
const RETRY: &str = "5";

/// The status of what is refused because its caller asks too often.
const TOO_OFTEN: u16 = 429;

/// Seen to by others than [`Server`], on a worker: a place for trials of the protocol.
pub trait Extra: Send + Sync {
    /// Whether this request is such a one.
    fn takes(&self, request: &rpc::Request) -> bool;
    /// Its answer; before it, things may be told and asked by the call.
    fn answer(&self, request: &rpc::Request, call: &Arc<Call>, caller: Caller) -> rpc::Answer;
    /// Headers that mirror arguments of a tool, each without `Mcp-Param-`, with the argument.
    fn mirrored(&self, _tool: &str) -> Vec<(String, String)> {
        Vec::new()
    }
}

/// What may differ between one service and another, and in tests.
pub struct Settings {
    /// The path.
    pub endpoint: String,
    /// Origins of pages that may ask, beside this server's own; `*` is every page.
    pub origins: Vec<String>,
    /// Names by which this server may be called, with or without a port.
    pub hosts: Vec<String>,
    /// Sign-in; without it, everybody is `user` and may do anything.
    pub door: Option<Box<dyn Door>>,
    pub user: String,
    /// Proxies whose `X-Forwarded-For` is believed; none is a Unix socket.
    pub trusted: Box<dyn Fn(Option<IpAddr>) -> bool + Send + Sync>,
    /// Requests a minute; 0 is no limit.
    pub per_user: u32,
    pub per_address: u32,
    /// The text of `/metrics`; the path is not there without.
    pub metrics: Option<Box<dyn Fn() -> String + Send + Sync>>,
    /// The listener that has nothing but `/metrics` and health, and needs no sign-in.
    pub metrics_listener: Option<String>,
    /// Calls that run and wait.
    pub calls: Size,
    /// Entries of a list that are shown at once.
    pub page: usize,
    /// The longest message, in bytes.
    pub longest: u64,
    pub sessions: Bounds,
    /// Open requests that hear of changes, and those of one caller where callers are told apart.
    pub listens: usize,
    pub listens_each: usize,
    /// After so long a call that wants to hear of progress is answered by a stream, come what may.
    pub patience: Duration,
    /// After so long without a word a stream says that it is alive; and every other call is answered
    /// by a stream.
    pub alive: Duration,
    /// A call that takes longer than that becomes a task, for clients that know tasks.
    pub tasks_after: Duration,
    pub extra: Option<Arc<dyn Extra>>,
}

impl Default for Settings {
    fn default() -> Settings {
        let idle = Duration::from_secs(20);
        Settings {
            endpoint: ENDPOINT.to_owned(),
            origins: Vec::new(),
            hosts: Vec::new(),
            door: None,
            user: "local".to_owned(),
            trusted: Box::new(|_| false),
            per_user: 600,
            per_address: 1200,
            metrics: None,
            metrics_listener: None,
            calls: Size { threads: 16, queue: 64, idle },
            page: 100,
            longest: 4 << 20,
            sessions: Bounds { all: 256, each: 64, idle: Duration::from_secs(1800) },
            listens: 1024,
            listens_each: 128,
            patience: Duration::from_secs(1),
            alive: Duration::from_secs(15),
            tasks_after: tasks::PATIENCE,
            extra: None,
        }
    }
}

/// The service, for the edge.
pub struct Http(Arc<Inner>);

struct Inner {
    gate: Arc<Gate>,
    /// For clients with subscriptions, and for those without.
    watching: Server,
    plain: Server,
    settings: Settings,
    local: Principal,
    pool: Pool,
    door: Pool,
    by_user: Limiter,
    by_address: Limiter,
    calls: Arc<Calls>,
    sessions: Sessions,
    listens: Arc<Listens>,
    stopping: AtomicBool,
    /// There is a thread that looks at streams.
    looking: AtomicBool,
}

/// What is at a path.
enum Route {
    Endpoint,
    Health,
    Ready,
    Metrics,
    /// What tokens are issued for.
    Resource(String),
    Nothing,
}

impl Http {
    /// Nothing runs before the first request.
    pub fn new(gate: Arc<Gate>, settings: Settings) -> Http {
        let plain = Server::new(gate.clone(), settings.page).patient(settings.tasks_after);
        Http(Arc::new(Inner {
            gate,
            watching: plain.clone().watching(),
            plain,
            local: Principal::local(&settings.user),
            pool: match settings.door {
                Some(_) => Pool::fair(settings.calls),
                None => Pool::new(settings.calls),
            },
            door: Pool::new(AT_THE_DOOR),
            by_user: Limiter::new(settings.per_user),
            by_address: Limiter::new(settings.per_address),
            calls: Arc::default(),
            sessions: Sessions::new(settings.sessions),
            listens: Arc::default(),
            stopping: AtomicBool::new(false),
            looking: AtomicBool::new(false),
            settings,
        }))
    }

    /// Tells all work to stop; while the edge still serves, its clients hear how far it came.
    pub fn hurry(&self) {
        self.0.calls.each(|_| true).iter().for_each(|it| it.cancel.cancel());
    }

    /// Others may come in than before: whoever is told of changes must come in again.
    pub fn renew(&self) {
        self.0.listens.end();
        self.0.sessions.hush();
    }

    /// Lets tasks that change something go on for so long; the edge, which has ended, waits for open
    /// requests only.
    pub fn last_tasks(&self, patience: Duration) {
        self.0.calls.wait(patience, true);
    }

    /// Tells all work to stop that is still under way when the edge has ended, and gives what changes
    /// something so long to clean up; what is left after that.
    pub fn end(&self, grace: Duration) -> Vec<&'static str> {
        self.stopping();
        let calls = &self.0.calls;
        self.hurry();
        if !calls.wait(LAST_WORDS, false) {
            calls.wait(grace, true);
        }
        calls.names()
    }

    /// Sessions that there are.
    pub fn sessions(&self) -> usize {
        self.0.sessions.each().len()
    }
}

impl Handler for Http {
    fn admit(&self, head: &Request) -> Result<u64, Answer> {
        let inner = &self.0;
        match inner.route(head) {
            Route::Endpoint => {}
            Route::Nothing => return Err(Answer::line(404, "there is nothing here")),
            _ if matches!(head.method.as_str(), "GET" | "HEAD") => return Ok(0),
            _ => return Err(Answer::line(405, "only to be read").with("Allow", "GET, HEAD")),
        }
        inner.endpoint(head).map_err(|mut refusal| {
            refusal.headers.extend(inner.across(head));
            refusal
        })
    }

    fn handle(&self, request: Request, respond: Responder) {
        let inner = &self.0;
        let reply = Reply { respond, headers: inner.across(&request) };
        match inner.route(&request) {
            Route::Endpoint => inner.enter(request, reply, Inner::serve),
            Route::Health => reply.answer(Answer::line(200, "ok")),
            Route::Ready => reply.answer(match inner.stopping.load(Ordering::SeqCst) {
                false => Answer::line(200, "ready"),
                true => Answer::line(503, "it is ending"),
            }),
            Route::Metrics if inner.for_metrics(&request) => inner.measured(reply),
            Route::Metrics if !host_fits(&request, &inner.settings.hosts) => {
                reply.answer(Refused::new(403, NOT_OURS).answer());
            }
            // Whoever has any right may read.
            Route::Metrics => inner.enter(request, reply, |it, _, _, reply| it.measured(reply)),
            Route::Resource(document) => {
                let answer = Answer::of(200, "application/json", document);
                reply.answer(answer.with("Access-Control-Allow-Origin", "*"));
            }
            Route::Nothing => reply.answer(Answer::line(404, "there is nothing here")),
        }
    }

    fn answered(&self, status: u16) {
        let metrics = &self.0.gate.metrics;
        metrics.answered(status);
        if status == TOO_OFTEN {
            metrics.limited();
        }
    }

    fn stopping(&self) {
        self.0.stopping.store(true, Ordering::SeqCst);
        self.0.listens.close();
        self.0.sessions.hush();
    }
}

const NOT_OURS: &str =
    "this server is not known by that name; whoever runs it can add it to MCP_ALLOWED_HOSTS";

type Served = fn(&Arc<Inner>, Request, &Principal, Reply);

impl Inner {
    fn for_metrics(&self, request: &Request) -> bool {
        self.settings.metrics_listener.as_deref() == Some(&*request.listener)
    }

    fn route(&self, request: &Request) -> Route {
        let path = request.target.split('?').next().unwrap_or_default();
        let only_metrics = self.for_metrics(request);
        match path {
            "/healthz" => Route::Health,
            "/readyz" => Route::Ready,
            "/metrics" if self.settings.metrics.is_some() => Route::Metrics,
            _ if only_metrics => Route::Nothing,
            path if path == self.settings.endpoint => Route::Endpoint,
            path if path.starts_with(WELL_KNOWN) => {
                let resource = self.settings.door.as_ref().and_then(|it| it.resource());
                let served = resource.filter(|it| it.serves(path));
                served.map_or(Route::Nothing, |it| Route::Resource(it.document()))
            }
            _ => Route::Nothing,
        }
    }

    /// What of a request for the endpoint can be refused by its head; else how long it may be.
    fn endpoint(&self, head: &Request) -> Result<u64, Answer> {
        let refuse = |status, said: &str| Err(Refused::new(status, said).answer());
        if !host_fits(head, &self.settings.hosts) {
            return refuse(403, NOT_OURS);
        }
        if !origin_fits(head, &self.settings.origins) {
            return refuse(
                403,
                "pages of that origin may not ask here; whoever runs this server can add it to \
                 MCP_ALLOWED_ORIGINS",
            );
        }
        let page_asks = head.header("Origin").is_some();
        match head.method.as_str() {
            "POST" | "GET" | "DELETE" => {}
            "OPTIONS" if page_asks => {
                let answer = Answer { status: 204, ..Answer::default() };
                let answer = answer.with("Access-Control-Allow-Methods", "POST, GET, DELETE");
                let wanted = head.header("Access-Control-Request-Headers").unwrap_or("*");
                return Err(answer.with("Access-Control-Allow-Headers", wanted));
            }
            _ => return Err(not_allowed()),
        }
        let who = address(head, &self.settings.trusted);
        self.by_address.count(&who, Instant::now()).map_err(too_often)?;
        if self.stopping.load(Ordering::SeqCst) {
            return Err(ending());
        }
        if let Some(Some(Err(refusal))) = self.settings.door.as_ref().map(|it| it.known(head)) {
            return Err(turned(refusal, &who));
        }
        if head.method == "POST" {
            ladder::head(head).map_err(Refused::answer)?;
            return Ok(self.settings.longest);
        }
        Ok(0)
    }

    /// What a page of another origin must be told before it may read an answer.
    fn across(&self, request: &Request) -> Vec<(&'static str, String)> {
        match request.header("Origin") {
            Some(origin) if origin_fits(request, &self.settings.origins) => vec![
                ("Access-Control-Allow-Origin", origin.to_owned()),
                ("Access-Control-Expose-Headers", "Mcp-Session-Id, WWW-Authenticate".to_owned()),
                ("Vary", "Origin".to_owned()),
            ],
            _ => Vec::new(),
        }
    }

    /// Finds out who asks, and goes on with that.
    fn enter(self: &Arc<Inner>, request: Request, reply: Reply, then: Served) {
        let Some(door) = &self.settings.door else {
            return then(self, request, &self.local, reply);
        };
        if let Some(known) = door.known(&request) {
            return self.entered(known, request, reply, then);
        }
        let inner = self.clone();
        self.door.submit("", move |fate| {
            let Some(door) = inner.settings.door.as_ref().filter(|_| fate == Fate::Turn) else {
                let busy = Refused::new(503, "too many callers at once").answer();
                return reply.answer(busy.with("Retry-After", RETRY));
            };
            let known = door.admit(&request);
            inner.entered(known, request, reply, then);
        });
    }

    fn entered(
        self: &Arc<Inner>,
        who: Result<Principal, Turned>,
        request: Request,
        reply: Reply,
        then: Served,
    ) {
        match who {
            Err(refusal) => {
                let at = address(&request, &self.settings.trusted);
                reply.answer(turned(refusal, &at));
            }
            Ok(who) => match self.by_user.count(&who.id, Instant::now()) {
                Err(seconds) => reply.answer(too_often(seconds)),
                Ok(()) => then(self, request, &who, reply),
            },
        }
    }

    fn measured(&self, reply: Reply) {
        let text = self.settings.metrics.as_ref().map_or_else(String::new, |it| it());
        reply.answer(Answer::of(200, "text/plain; version=0.0.4; charset=utf-8", text));
    }

    /// Sees to it that somebody looks at the streams.
    fn look(self: &Arc<Inner>) {
        if self.looking.swap(true, Ordering::SeqCst) {
            return;
        }
        let inner = Arc::downgrade(self);
        if let Err(why) = threads::begin("streams", Box::new(move || looks(&inner))) {
            log::warn!("no thread to look at streams with: {why}");
            self.looking.store(false, Ordering::SeqCst);
        }
    }

    /// One look; true while there is something to look at.
    fn tick(&self) -> bool {
        let (now, pause) = (Instant::now(), self.settings.alive);
        // Of a service that ends nobody could ask for a task.
        let ends = self.stopping.load(Ordering::SeqCst);
        for it in self.calls.each(|_| true) {
            if ends || !it.becomes_task() {
                it.tick(now, pause);
            }
        }
        let sessions = self.sessions.each();
        let some = sessions.iter().filter(|it| it.tick(now, pause)).count() > 0;
        self.listens.tick(now, pause) || some || !self.calls.is_empty()
    }
}

fn looks(inner: &Weak<Inner>) {
    let mut rests = 0;
    loop {
        std::thread::sleep(PAUSE);
        let Some(inner) = inner.upgrade() else { return };
        rests = if inner.tick() { 0 } else { rests + 1 };
        if rests > RESTS {
            inner.looking.store(false, Ordering::SeqCst);
            // Something may have begun just before that.
            if !inner.tick() || inner.looking.swap(true, Ordering::SeqCst) {
                return;
            }
            rests = 0;
        }
    }
}

fn not_allowed() -> Answer {
    Refused::new(405, "requests come by POST").answer().with("Allow", "POST")
}

fn too_often(seconds: u64) -> Answer {
    let said = format!("too many requests; try again in {seconds} s");
    Refused::new(TOO_OFTEN, said).answer().with("Retry-After", seconds.to_string())
}

fn ending() -> Answer {
    Refused::new(503, "this server is ending").answer().with("Retry-After", RETRY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let it = Settings::default();
        assert_eq!((it.endpoint.as_str(), it.per_user, it.per_address), ("/mcp", 600, 1200));
        assert_eq!((it.calls.threads, it.calls.queue, it.longest), (16, 64, 4_194_304));
    }
}
