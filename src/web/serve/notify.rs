//! Tells systemd how the service is, by the socket that it names in the environment.
//!
//! Surprising: nothing here fails and nothing waits; who does not listen does not matter to the
//! service. Only the name of the socket is looked at, so that tests and other supervisors may play
//! systemd.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The way to the supervisor; without one, everything is said to nobody.
#[derive(Default)]
pub struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// As `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` say.
    pub fn from_env() -> Notifier {
        let of = |name| std::env::var(name).ok();
        let ours = of("WATCHDOG_PID").is_none_or(|it| it == std::process::id().to_string());
        let watchdog = of("WATCHDOG_USEC").filter(|_| ours).and_then(|it| it.parse().ok());
        match std::env::var_os("NOTIFY_SOCKET") {
            Some(name) => Notifier::to(&name, watchdog.map(Duration::from_micros)),
            None => Notifier::default(),
        }
    }

    /// To the socket of this path, or of this abstract name behind an `@`; the supervisor wants to
    /// hear of us at least that often.
    pub fn to(name: &OsStr, watchdog: Option<Duration>) -> Notifier {
        let address = match name.as_bytes() {
            [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest),
            _ => SocketAddr::from_pathname(name),
        };
        let open = |address| {
            let socket = UnixDatagram::unbound()?;
            socket.set_nonblocking(true)?;
            Ok((socket, address))
        };
        let socket = address.and_then(open);
        if let Err(why) = &socket {
            log::warn!("the supervisor cannot be told anything: {why}");
        }
        Notifier { socket: socket.ok(), watchdog: watchdog.filter(|it| !it.is_zero()) }
    }

    /// The service can be used.
    pub fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\n{}", line(status)));
    }

    /// The service ends.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=ends");
    }

    /// The service reads its settings again; [`Notifier::ready`] tells that it has.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let (seconds, rest) = (now.tv_sec, now.tv_nsec / 1000);
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={seconds}{rest:06}"));
    }

    /// What the service does, for `systemctl status`.
    pub fn status(&self, status: &str) {
        self.tell(&line(status));
    }

    /// The service is alive.
    pub(crate) fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    /// How often it must be told that the service is alive: half of what the supervisor waits.
    pub(crate) fn beat(&self) -> Option<Duration> {
        self.watchdog.filter(|_| self.socket.is_some()).map(|it| it / 2)
    }

    fn tell(&self, text: &str) {
        if let Some((socket, address)) = &self.socket
            && let Err(why) = socket.send_to_addr(text.as_bytes(), address)
        {
            crate::logging::debug!("the supervisor does not listen: {why}");
        }
    }
}

/// A status in one line, since a line more would be a message more.
fn line(status: &str) -> String {
    format!("STATUS={}", status.replace(['\n', '\r'], " "))
}
