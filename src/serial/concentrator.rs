//! Machines that dial in: who they are, which console they are given, and their moves.
//!
//! It must not know what the configuration says: whom to let in is asked. Surprising: a machine that
//! starts again may dial before its old connection is known to be dead, and is told from a second
//! machine with its UUID only by all that it says about itself.

use std::collections::VecDeque;
use std::future::{Future as _, poll_fn};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::{Duration, Instant};

use smol::Timer;
use smol::future::FutureExt as _;

use crate::error::quoted;
use crate::serial::console::Console;
use crate::serial::console::State;
use crate::serial::desk::Desk;
use crate::serial::desk::Line;
use crate::serial::dial;
use crate::serial::hub::Caller;
use crate::serial::hub::Inner;
use crate::serial::hub::Sitting;
use crate::serial::hub::Way;
use crate::serial::line;
use crate::serial::line::Pump;
use crate::serial::proxy::{Event, Identity, Proxy};
use crate::serial::served::Gone;
use crate::serial::served::Served;
use crate::web::serve::core;
use crate::web::serve::handler::Peer;
use crate::web::serve::identity::Identity as Certificate;
use crate::web::serve::listen::Listener;
use crate::web::serve::listen::Sockets;
use crate::web::serve::wire::Socket;

/// How long a machine may take to tell who it is, TLS and asking for it included.
pub const IDENTIFY: Duration = Duration::from_secs(20);

/// After so long the UUIDs that were told are enough.
const ENOUGH: Duration = Duration::from_secs(5);

/// Connections of which nobody knows yet who they are.
pub const UNKNOWN: usize = 64;

/// Bytes that are kept of what a machine says before it is known.
const EARLY: usize = 64 << 10;

/// A console that was just taken over is not taken over again: two ports that say the same of
/// themselves would do so for ever.
const SETTLED: Duration = Duration::from_secs(5);

/// How long a refused machine has to hear it.
const GOODBYE: Duration = Duration::from_secs(2);

/// How often moves of which nothing came are looked for.
const SWEEP: Duration = Duration::from_secs(60);

/// How long accepting rests when the system has no more sockets.
const REST: Duration = Duration::from_millis(100);

/// Rounds in a row, before others have their turn.
const ROUNDS: usize = 16;

/// Takes machines as long as it is polled.
pub(crate) async fn serve(
    hub: Weak<Inner>,
    listener: Listener,
    certificate: Option<Arc<Certificate>>,
) {
    let Sockets::Tcp(socket) = &listener.sockets else { return };
    loop {
        let late = async {
            Timer::after(SWEEP).await;
            Err(std::io::ErrorKind::TimedOut.into())
        };
        let accepted = socket.accept().or(late).await.and_then(core::tcp);
        let Some(inner) = hub.upgrade() else { return };
        inner.sweep();
        match accepted {
            Ok((Socket::Tcp(socket), Peer::Net(from))) => {
                dial::watch(socket.get_ref());
                let from = from.ip();
                if !inner.outside.may_dial_in(from) {
                    let text = "dialled in, and is no configured host";
                    inner.desk().complain(&*inner.outside, from, text);
                    continue;
                }
                let mut desk = inner.desk();
                if desk.unknown >= UNKNOWN {
                    let text = format!("was refused: {UNKNOWN} others do not say who");
                    desk.complain(&*inner.outside, from, &text);
                    continue;
                }
                desk.unknown += 1;
                drop(desk);
                let call = Call {
                    hub: Weak::clone(&hub),
                    from,
                    number: inner.number(),
                    unknown: true,
                    events: VecDeque::new(),
                    proxy: Proxy::new(),
                    early: Vec::new(),
                    uri: String::new(),
                };
                let pump = Pump::new(Socket::Tcp(socket));
                inner.spawn(call.take(pump, certificate.clone())).detach();
            }
            Ok(_) => {}
            Err(why) if why.kind() == std::io::ErrorKind::TimedOut => {}
            Err(why) => {
                log::warn!("the concentrator cannot accept a connection: {why}");
                drop(inner);
                Timer::after(REST).await;
            }
        }
    }
}

/// What a connection turned out to be.
enum Met {
    Machine(Identity),
    /// The new host of a machine that moves.
    Peer(Vec<u8>),
    Nobody(String),
}

/// One connection.
struct Call {
    hub: Weak<Inner>,
    from: IpAddr,
    number: u64,
    /// It counts among the unknown.
    unknown: bool,
    events: VecDeque<Event>,
    proxy: Proxy,
    /// Said before it was known who says it.
    early: Vec<u8>,
    uri: String,
}

impl Drop for Call {
    fn drop(&mut self) {
        self.known();
    }
}

impl Call {
    fn known(&mut self) {
        if std::mem::take(&mut self.unknown)
            && let Some(hub) = self.hub.upgrade()
        {
            hub.desk().unknown -= 1;
        }
    }

    async fn take(mut self, mut pump: Pump, certificate: Option<Arc<Certificate>>) {
        let until = Instant::now() + IDENTIFY;
        let seated = match self.seat(&mut pump, certificate, until).await {
            Ok(it) => it,
            Err(why) => {
                if let Some(hub) = self.hub.upgrade() {
                    let text = format!("was refused: {why}");
                    hub.desk().complain(&*hub.outside, self.from, &text);
                }
                // To close while it still speaks would make its system throw the answer away.
                let goodbye = poll_fn(|context| {
                    if std::task::ready!(pump.poll_flush(context)).is_err() {
                        return Poll::Ready(());
                    }
                    let mut buffer = Pump::buffer();
                    for _ in 0..ROUNDS {
                        match std::task::ready!(pump.poll_read(context, &mut buffer)) {
                            Ok([]) | Err(_) => return Poll::Ready(()),
                            Ok(_) => {}
                        }
                    }
                    // Who has so much to say does not listen.
                    Poll::Ready(())
                });
                let late = async {
                    Timer::after(GOODBYE).await;
                };
                return goodbye.or(late).await;
            }
        };
        self.known();
        let (console, dismissed, owned) = seated;
        console.push(&std::mem::take(&mut self.early));
        let number = self.number;
        let who = format!("the machine at {}", self.from);
        let Some(outside) = self.hub.upgrade().map(|it| Arc::clone(&it.outside)) else { return };
        let mut sitting = Sitting::begin(&outside, &console, &who, true);
        let hub = Weak::clone(&self.hub);
        // Also when the task is dropped.
        let gone = Gone { hub: Weak::clone(&hub), number };
        let mut served = Served {
            hub: Weak::clone(&hub),
            number,
            proxy: std::mem::take(&mut self.proxy),
            events: std::mem::take(&mut self.events),
            console: console.clone(),
            dismissed,
            owned,
        };
        let why = line::carry(&mut pump, &mut served, &console, number).await;
        drop(gone);
        console.lost(number, State::Waiting, &why);
        sitting.why = why;
    }

    /// Finds out who it is and gives it its console, and whether it has that already.
    async fn seat(
        &mut self,
        pump: &mut Pump,
        certificate: Option<Arc<Certificate>>,
        until: Instant,
    ) -> Result<(Console, Arc<AtomicBool>, bool), String> {
        if let Some(certificate) = certificate {
            let agreed = pump.wire.handshake(certificate.config(), until).await;
            if !agreed.map_err(|why| line::told(&why))? {
                return Err("it speaks no TLS; its proxy must be telnets://".to_owned());
            }
        }
        pump.out().extend(self.proxy.start());
        let late = async {
            Timer::at(until).await;
            Met::Nobody("it does not say who it is".to_owned())
        };
        let met = self.meet(pump).or(late).await;
        let (identity, token) = match met {
            Met::Machine(identity) => (identity, None),
            Met::Peer(token) => (Identity::default(), Some(token)),
            Met::Nobody(why) => return Err(why),
        };
        let Some(hub) = self.hub.upgrade() else { return Err("the hub is closed".to_owned()) };
        let dismissed = Arc::new(AtomicBool::new(false));
        if let Some(token) = token {
            return match self.succeed(&hub, &token, &dismissed) {
                Some((console, owned)) => {
                    pump.out().extend(Proxy::peer_ok(&token));
                    Ok((console, dismissed, owned))
                }
                None => {
                    pump.out().extend(Proxy::refuse_peer());
                    Err("it continues a move that nobody has begun".to_owned())
                }
            };
        }
        let uri = self.uri.clone();
        let caller = Caller { identity: identity.clone(), uri, from: self.from };
        let name = quoted(identity.name.as_deref().unwrap_or("a machine without a name"));
        let outside = Arc::clone(&hub.outside);
        let asked = smol::unblock(move || outside.whose(&caller).map_err(|it| it.to_string()));
        let late = async {
            Timer::at(until).await;
            Err("whose it is could not be found out in time".to_owned())
        };
        let about = match asked.or(late).await {
            Ok(Some(about)) => about,
            Ok(None) => {
                pump.out().extend(Proxy::refuse());
                return Err(format!("no machine is known with the UUIDs of `{name}`"));
            }
            Err(why) => {
                pump.out().extend(Proxy::refuse());
                return Err(why);
            }
        };
        let mut desk = hub.desk();
        let console = hub.console(&about, true).map_err(|it| it.to_string())?;
        let owner = console.now().owner;
        if let Some(old) = desk.find(owner) {
            let bare = Identity { name: old.identity.name.clone(), ..Identity::default() };
            let why = if old.identity != identity && old.identity != bare {
                Some("another machine with the UUID of")
            } else if old.since.elapsed() < SETTLED {
                Some("a machine that was just connected says the same of itself as")
            } else {
                None
            };
            if let Some(why) = why {
                pump.out().extend(Proxy::refuse());
                return Err(format!("{why} `{name}` has its console"));
            }
        }
        self.enter(&mut desk, &console, identity, &dismissed);
        console.now().about = about;
        console.owned_by(self.number, Some(Way::Dialled), State::Dialling, None);
        console.connected(self.number, true, &format!("dialled in from {}", self.from));
        Ok((console, dismissed, true))
    }

    fn enter(
        &self,
        desk: &mut Desk,
        console: &Console,
        identity: Identity,
        dismissed: &Arc<AtomicBool>,
    ) {
        let (number, console) = (self.number, console.clone());
        let (since, dismissed) = (Instant::now(), Arc::clone(dismissed));
        desk.lines.push(Line { number, console, identity, since, dismissed });
    }

    /// The new host of a machine: its console, if the token is one of ours, and whether it has it
    /// already.
    fn succeed(
        &self,
        hub: &Inner,
        token: &[u8],
        dismissed: &Arc<AtomicBool>,
    ) -> Option<(Console, bool)> {
        let mut desk = hub.desk();
        let (old, moved) = desk.moves.peer(self.number, token)?;
        let identity = desk.find(old).map(|it| it.identity.clone()).unwrap_or_default();
        let console = hub.owned_by(old)?;
        self.enter(&mut desk, &console, identity, dismissed);
        if let Some(moved) = moved {
            desk.moved(moved);
        }
        Some((console, moved.is_some()))
    }

    /// Listens until it is clear who it is.
    async fn meet(&mut self, pump: &mut Pump) -> Met {
        let mut enough = Timer::after(ENOUGH);
        let mut waited = false;
        poll_fn(|context| {
            let mut buffer = Pump::buffer();
            for _ in 0..ROUNDS {
                if let Poll::Ready(Err(why)) = pump.poll_flush(context) {
                    return Poll::Ready(Met::Nobody(line::told(&why)));
                }
                while let Some(event) = self.events.pop_front() {
                    match event {
                        Event::Wanted { uri, .. } => self.uri = uri,
                        Event::Identified(it) => return Poll::Ready(Met::Machine(it)),
                        Event::Peer { token } => return Poll::Ready(Met::Peer(token)),
                        Event::Plain => {
                            let why = "it does not speak VMware's extension, so nobody knows who";
                            return Poll::Ready(Met::Nobody(why.to_owned()));
                        }
                        _ => {}
                    }
                }
                let told = self.proxy.identity();
                waited = waited || Pin::new(&mut enough).poll(context).is_ready();
                if waited && (told.vc_uuid.is_some() || told.bios_uuid.is_some()) {
                    return Poll::Ready(Met::Machine(told.clone()));
                }
                if pump.is_full() {
                    return Poll::Pending;
                }
                match pump.poll_read(context, &mut buffer) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok([])) => {
                        return Poll::Ready(Met::Nobody("it hung up".to_owned()));
                    }
                    Poll::Ready(Ok(bytes)) => {
                        let got = self.proxy.feed(bytes);
                        pump.out().extend(got.wire);
                        let room = EARLY.saturating_sub(self.early.len()).min(got.data.len());
                        self.early.extend_from_slice(got.data.get(..room).unwrap_or_default());
                        self.events.extend(got.events.into_iter().map(|it| it.1));
                    }
                    Poll::Ready(Err(why)) => return Poll::Ready(Met::Nobody(line::told(&why))),
                }
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }
}
