//! What a caller who was let in wants: a message, a stream of news, the end of a session.
//!
//! Surprising: who may take a request back, where there is no session, is told by name and address;
//! where two requests fit, neither ends, because a stranger's work is worth more than a cancellation.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::auth::principal::{How, Principal};
use crate::error::{Error, Kind};
use crate::mcp::ask;
use crate::mcp::body::Body;
use crate::mcp::era;
use crate::mcp::era::Era;
use crate::mcp::http::call::{Call, Reply};
use crate::mcp::http::door::{address, turned};
use crate::mcp::http::ladder;
use crate::mcp::http::ladder::Refused;
use crate::mcp::http::sessions::Session;
use crate::mcp::http::{Inner, RETRY, ending, not_allowed};
use crate::mcp::pool::Fate;
use crate::mcp::rpc;
use crate::mcp::rpc::{Failure, INVALID_REQUEST, Id, Message, Notification};
use crate::mcp::server::Step;
use crate::mcp::tasks;
use crate::mcp::tasks::Task;
use crate::mcp::turn;
use crate::mcp::watch;
use crate::mcp::watch::{Seen, Watch};
use crate::mcp::work::{Work, refused};
use crate::text::json;
use crate::tools::run::Caller;
use crate::web::serve::handler::{Answer, Request};

type Shared = Arc<Session>;

/// A request of somebody, and the way back.
struct Turn<'a> {
    who: &'a Principal,
    /// For those who may take it back.
    owner: String,
    session: Option<Shared>,
    era: Era,
    reply: Reply,
}

impl Inner {
    /// A request for the endpoint.
    pub(super) fn serve(self: &Arc<Inner>, request: Request, who: &Principal, reply: Reply) {
        if self.stopping.load(Ordering::SeqCst) {
            return reply.answer(ending());
        }
        let served = match request.method.as_str() {
            "POST" => return self.posted(&request, who, reply),
            method => self.of_session(&request, who).map(|session| (session, method == "GET")),
        };
        match served {
            Err(refusal) => reply.answer(refusal),
            Ok((session, true)) => {
                session.listen(reply.stream(": begun\n\n"));
                // The end may have come in between, and has then missed this one.
                if self.stopping.load(Ordering::SeqCst) {
                    self.sessions.hush();
                }
                self.look();
            }
            Ok((session, false)) => {
                self.end_session(&session);
                reply.answer(Answer { status: 204, ..Answer::default() });
            }
        }
    }

    /// The session that a GET or DELETE is about.
    fn of_session(&self, request: &Request, who: &Principal) -> Result<Shared, Answer> {
        let version = ladder::version(request).map_err(Refused::answer)?;
        match self.session(request, who).map_err(Refused::answer)? {
            Some(_) if version == Some(era::MODERN) => Err(not_allowed()),
            None => Err(not_allowed()),
            Some(_)
                if request.method == "GET" && !ladder::accepts(request, "text/event-stream") =>
            {
                Err(Refused::new(406, "`Accept` must list text/event-stream").answer())
            }
            Some(session) => Ok(session),
        }
    }

    /// The session that the headers name, if any.
    fn session(&self, request: &Request, who: &Principal) -> Result<Option<Shared>, Refused> {
        if ladder::version(request)? == Some(era::MODERN) {
            return Ok(None);
        }
        let Some(id) = ladder::single(request, ladder::SESSION)? else { return Ok(None) };
        let session = self.sessions.find(id, &who.id, Instant::now());
        let none = || Refused::new(404, "there is no such session; begin with `initialize`");
        session.map(Some).ok_or_else(none)
    }

    fn end_session(&self, session: &Shared) {
        self.sessions.end(session, || {
            let calls = self.calls.each(|it| it.owner == session.id);
            calls.iter().for_each(|it| self.take_back(it));
        });
    }

    fn posted(self: &Arc<Inner>, request: &Request, who: &Principal, reply: Reply) {
        let extra = self.settings.extra.as_deref();
        let mirrored = |tool: &str| extra.map_or_else(Vec::new, |it| it.mirrored(tool));
        let (era, message) = match ladder::post(request, &mirrored) {
            Ok(posted) => posted,
            Err(refusal) => return reply.answer(refusal.answer()),
        };
        // `initialize` begins anew, whatever session its client had.
        let first = matches!(&message, Message::Request(it) if it.method == "initialize");
        let session = match era {
            Era::Legacy if !first => self.session(request, who),
            _ => Ok(None),
        };
        let session = match session {
            Ok(session) => session,
            Err(refusal) => {
                let id = match &message {
                    Message::Request(it) => Some(it.id.clone()),
                    _ => None,
                };
                return reply.answer(Refused { id, ..refusal }.answer());
            }
        };
        let owner = match &session {
            Some(session) => session.id.clone(),
            None => owner(who, request, &self.settings.trusted),
        };
        let accepted = Answer { status: 202, ..Answer::default() };
        match message {
            Message::Request(message) => {
                self.asked(&message, Turn { who, owner, session, era, reply });
            }
            Message::Notification(it) => {
                if era == Era::Legacy {
                    self.told(&it, &owner);
                }
                reply.answer(accepted);
            }
            Message::Response(response) => match session {
                Some(session) => {
                    session.answered(response);
                    reply.answer(accepted);
                }
                None => {
                    let said = "an answer belongs to a session, and none is named";
                    reply.answer(Refused::new(400, said).answer());
                }
            },
        }
    }

    fn told(&self, notification: &Notification, owner: &str) {
        let id = notification.params.get("requestId").and_then(Id::of);
        let Some(id) = id.filter(|_| notification.method == "notifications/cancelled") else {
            return;
        };
        match self.calls.find(owner, &id).as_slice() {
            [] => {}
            [one] => self.take_back(one),
            _ => crate::logging::info!("several requests could be meant by a cancellation"),
        }
    }

    fn take_back(&self, call: &Call) {
        call.take_back();
        call.ticket.get().map(|it| self.pool.forget(*it));
    }

    fn asked(self: &Arc<Inner>, request: &rpc::Request, turn: Turn<'_>) {
        if turn.session.is_some() && !self.calls.find(&turn.owner, &request.id).is_empty() {
            let said = "a request with this id is still being worked on";
            return now(turn, request, &Err(Failure::new(INVALID_REQUEST, said)));
        }
        if let Some(extra) = self.settings.extra.clone().filter(|it| it.takes(request)) {
            let (id, method, params) =
                (request.id.clone(), request.method.clone(), request.params.clone());
            let request = rpc::Request { id: id.clone(), method, params };
            let token = has_token(&request);
            let knows = turn.era == Era::Modern && tasks::declared(&request.params);
            let task = knows.then(|| self.watching.prepare_for(None, turn.who)).flatten();
            let work = move |call: &Arc<Call>, caller, fate| {
                Done::Answer(match fate {
                    Fate::Turn => extra.answer(&request, call, caller),
                    Fate::Full => Err(Failure::new(rpc::INTERNAL, too_much().to_string())),
                })
            };
            return self.begin(&id, turn, (token, task), false, Box::new(work));
        }
        if turn.era == Era::Legacy && request.method == "initialize" {
            return self.initialize(request, turn);
        }
        let server = match turn.era == Era::Modern || turn.session.is_some() {
            true => &self.watching,
            false => &self.plain,
        };
        match server.handle(request, turn.who) {
            Step::Now(answer) => now(turn, request, &answer),
            Step::Later(work) => {
                let token = has_token(request);
                let here = work.is_short();
                let task = if here { None } else { server.prepare(&work, turn.who) };
                let work = move |call: &Arc<Call>, caller, fate| work_on(work, call, caller, fate);
                self.begin(&request.id, turn, (token, task), here, Box::new(work));
            }
            Step::Watch(what) => self.watch(request, turn, what),
        }
    }

    /// Clients that can be asked something get a session, where their answers come in.
    fn initialize(&self, request: &rpc::Request, mut turn: Turn<'_>) {
        let asks = ask::can(json::get_object(&request.params, "capabilities"));
        let server = if asks { &self.watching } else { &self.plain };
        let Step::Now(answer) = server.handle(request, turn.who) else { return };
        if asks && answer.is_ok() {
            match self.sessions.open(&turn.who.id, Instant::now()) {
                Ok(session) => turn.reply.headers.push((ladder::SESSION, session.id.clone())),
                Err(error) => {
                    let refusal = Refused { id: Some(request.id.clone()), ..busy(&error) };
                    return turn.reply.answer(refusal.answer().with("Retry-After", RETRY));
                }
            }
        }
        now(turn, request, &answer);
    }

    /// Puts work on the pool, or does it `here`; `work` is given what becomes of it. Told is whether its
    /// client wants to hear of progress, and what it becomes if it takes long.
    fn begin(
        self: &Arc<Inner>,
        id: &Id,
        turn: Turn<'_>,
        (token, task): (bool, Option<Arc<Task>>),
        here: bool,
        work: Doing,
    ) {
        let Turn { who, owner, session, era, reply } = turn;
        let patience = if token { self.settings.patience } else { self.settings.alive };
        let used = session.as_ref().map(Session::used);
        let (named, leave) = ((id.clone(), era, owner), self.pool.leave());
        let call = Arc::new(Call::new(named, task, session, leave, reply, patience));
        let running = self.calls.begin(&call);
        let mut caller = Caller::new(who.clone()).cancelled_by(call.cancel.clone());
        caller.asks = call.asks();
        let ours = call.clone();
        let inner = Arc::downgrade(self);
        let job = move |fate| {
            let done = work(&ours, caller, fate);
            // Whoever has the answer may use the id again at once.
            drop((running, used));
            match done {
                Done::Answer(answer) => ours.settle(&answer),
                Done::Denied(answer, error, who) => {
                    let inner = inner.upgrade();
                    let door = inner.as_ref().and_then(|it| it.settings.door.as_deref());
                    match door.and_then(|it| it.needs_more(&who, error)) {
                        Some(refusal) => ours.settle_as(turned(refusal, &who.name)),
                        None => ours.settle(&answer),
                    }
                }
            }
        };
        if here {
            return job(Fate::Turn);
        }
        let ticket = self.pool.submit(&who.id, job);
        let _ = call.ticket.set(ticket);
        if era == Era::Modern {
            // To leave is to cancel, also where that happened just now.
            let (gone, inner) = (call.clone(), Arc::downgrade(self));
            call.watch().on_gone(move || {
                gone.cancel.cancel();
                if let Some(inner) = inner.upgrade() {
                    inner.pool.forget(ticket);
                }
            });
        }
        self.look();
    }

    fn watch(self: &Arc<Inner>, request: &rpc::Request, turn: Turn<'_>, what: Watch) {
        let done = || Ok(Body::new().json());
        match (what, turn.session.clone()) {
            (Watch::Listen { uris, tasks }, _) => self.listen(request, turn, uris, tasks),
            (Watch::Unsubscribe(uri), Some(session)) => {
                session.unsubscribe(&uri);
                now(turn, request, &done());
            }
            (Watch::Subscribe(uri), Some(session)) => {
                if session.watches(&uri) {
                    return now(turn, request, &done());
                }
                let gate = self.gate.clone();
                let work = move |_: &Arc<Call>, caller: Caller, fate| {
                    Done::Answer(match fate {
                        Fate::Full => refused(Era::Legacy, &uri, too_much()),
                        Fate::Turn => match Seen::of(&gate, &caller, &uri) {
                            Err(answer) => answer,
                            Ok(seen) => match session.subscribe(&uri, seen) {
                                true => Ok(Body::new().json()),
                                false => watch::too_many(),
                            },
                        },
                    })
                };
                self.begin(&request.id, turn, (false, None), false, Box::new(work));
            }
            // Only in a session are they to be had.
            (_, None) => now(turn, request, &Err(Failure::new(rpc::NO_METHOD, "no session"))),
        }
    }

    fn listen(
        self: &Arc<Inner>,
        request: &rpc::Request,
        turn: Turn<'_>,
        uris: Vec<String>,
        tasks: Vec<Arc<Task>>,
    ) {
        let id = request.id.clone();
        let most = self.settings.listens;
        let each = self.settings.door.as_ref().map_or(most, |_| self.settings.listens_each);
        let Some(place) = self.listens.reserve(&turn.who.id, most, each) else {
            let refusal = Refused::new(503, "too many requests are kept open; end one of them");
            let refusal = Refused { id: Some(id), ..refusal };
            return turn.reply.answer(refusal.answer().with("Retry-After", RETRY));
        };
        if uris.is_empty() {
            let seen = tasks.into_iter().map(Seen::task).collect();
            self.listens.open(place, id, turn.reply, seen);
            return self.look();
        }
        let caller = Caller::new(turn.who.clone());
        let (cancel, reply, inner) = (caller.cancel.clone(), turn.reply, self.clone());
        reply.respond.watch().on_gone(move || cancel.cancel());
        self.pool.submit(&turn.who.id, move |fate| {
            if fate == Fate::Full {
                let refusal = Refused { id: Some(id), ..busy(&too_much()) };
                return reply.answer(refusal.answer().with("Retry-After", RETRY));
            }
            let seen = watch::seen_of(&inner.gate, &caller, &uris, tasks);
            inner.listens.open(place, id, reply, seen);
            inner.look();
        });
    }
}

/// Work of a call, given what becomes of it.
type Doing = Box<dyn FnOnce(&Arc<Call>, Caller, Fate) -> Done + Send>;

/// How work ended.
enum Done {
    Answer(rpc::Answer),
    /// More rights are needed, which this caller can be asked to get.
    Denied(rpc::Answer, Error, Principal),
}

fn work_on(work: Work, call: &Arc<Call>, caller: Caller, fate: Fate) -> Done {
    let who = caller.who.clone();
    // Only who came by a token could be given another one.
    let by_token = fate == Fate::Turn && who.how == How::Oauth;
    let lacks = if by_token { work.lacks(&who) } else { None };
    // Also where it is known to be refused: the gate writes that down.
    let answer = turn::take(work, fate, caller, call);
    match lacks {
        Some(error) => Done::Denied(answer, error, who),
        None => Done::Answer(answer),
    }
}

fn too_much() -> Error {
    Error::new(Kind::Busy, "too many calls at once")
        .hint("Wait for some of them to end, then try again")
}

fn busy(error: &Error) -> Refused {
    Refused::new(503, error.to_string())
}

fn now(turn: Turn<'_>, request: &rpc::Request, answer: &rpc::Answer) {
    let status = ladder::status(turn.era, answer);
    turn.reply.answer(ladder::answer(status, Some(&request.id), answer));
}

/// Whose request it is where there is no session.
fn owner(who: &Principal, request: &Request, trusted: &dyn Fn(Option<IpAddr>) -> bool) -> String {
    format!("{} {}", who.id, address(request, trusted))
}

/// Whether the client wants to hear of progress.
fn has_token(request: &rpc::Request) -> bool {
    let meta = json::get_object(&request.params, "_meta");
    meta.and_then(|it| it.get("progressToken")).and_then(Id::of).is_some()
}
