//! Dials one console's line for as long as the console is there.
//!
//! Surprising: a quiet console is no dead one, so nothing is said to find out; the system asks the
//! other end's system instead.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::sockopt;
use rustls::pki_types::ServerName;
use smol::future::FutureExt as _;
use smol::{Async, Timer};

use crate::serial::console::Console;
use crate::serial::console::State;
use crate::serial::hub::Outside;
use crate::serial::hub::Sitting;
use crate::serial::hub::Way;
use crate::serial::line;
use crate::serial::line::Plain;
use crate::serial::line::Pump;
use crate::serial::telnet::{Role, Telnet};
use crate::web::serve::wire::Socket;

/// For the name, for each address, and for TLS.
const CONNECT: Duration = Duration::from_secs(10);

/// The rests between two dials double from the first to the last.
const FIRST_REST: Duration = Duration::from_secs(1);
const LAST_REST: Duration = Duration::from_secs(60);

/// A line that stood so long begins with the first rest again.
const STOOD: Duration = Duration::from_secs(10);

/// A line that says nothing and ends so soon is one that was not wanted.
const AT_ONCE: Duration = Duration::from_secs(1);

/// After so much silence the other end's system is asked whether it is there, so many times.
const SILENT: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_secs(15);
const TIMES: u32 = 4;

/// How long sent bytes may stay unacknowledged, in milliseconds.
const UNHEARD: u32 = 120_000;

/// Lets the system notice that the other end is gone.
pub(crate) fn watch(tcp: &TcpStream) {
    let _ = tcp.set_nodelay(true);
    let _ = sockopt::set_socket_keepalive(tcp, true);
    let _ = sockopt::set_tcp_keepidle(tcp, SILENT);
    let _ = sockopt::set_tcp_keepintvl(tcp, AGAIN);
    let _ = sockopt::set_tcp_keepcnt(tcp, TIMES);
    let _ = sockopt::set_tcp_user_timeout(tcp, UNHEARD);
}

/// Dials and carries, again and again.
pub(crate) async fn keep(console: Console, owner: u64, way: Way, outside: Arc<dyn Outside>) {
    let mut rest = FIRST_REST;
    loop {
        let why = match begin(&console, &way, &outside).await {
            Ok(mut pump) => {
                let telnet = matches!(way, Way::Dial { telnet: true, .. });
                let mut speech = Plain(telnet.then(|| Telnet::new(Role::Client)));
                if let Plain(Some(telnet)) = &mut speech {
                    pump.out().extend(telnet.start());
                }
                console.connected(owner, telnet, "connected");
                let since = Instant::now();
                let mut sitting = Sitting::begin(&outside, &console, "line", true);
                let position = console.status().position;
                let mut why = line::carry(&mut pump, &mut speech, &console, owner).await;
                if since.elapsed() < AT_ONCE && console.status().position == position {
                    // unverified: a host takes one who dials, and lets a second in to close at once.
                    why.push_str(" at once; somebody else may have this port");
                }
                sitting.why.clone_from(&why);
                if since.elapsed() >= STOOD {
                    rest = FIRST_REST;
                }
                why
            }
            Err(why) => why,
        };
        console.lost(owner, State::Lost, &why);
        // Who hurries waits for the first rest all the same.
        Timer::after(FIRST_REST).await;
        let hurried = std::future::poll_fn(|context| console.poll_hurry(context));
        let rested = async {
            Timer::after(rest - FIRST_REST).await;
        };
        hurried.or(rested).await;
        rest = (rest * 2).min(LAST_REST);
    }
}

async fn begin(console: &Console, way: &Way, outside: &Arc<dyn Outside>) -> Result<Pump, String> {
    let (host, port, tls) = match way {
        Way::Dial { host, port, tls, .. } => (host, *port, *tls),
        Way::Socket(path) => return attach(path).await,
        Way::Dialled => return std::future::pending().await,
    };
    let peer = format!("{host}:{port}");
    let cannot = |error: io::Error| format!("cannot reach {peer}: {}", line::told(&error));
    let socket = connect(host.trim_matches(['[', ']']), port).await.map_err(cannot)?;
    let mut pump = Pump::new(Socket::Tcp(socket));
    if tls {
        // May read the system's authorities.
        let (server, outside) = (console.place().server.clone(), Arc::clone(outside));
        let at = host.clone();
        let config = smol::unblock(move || outside.client_tls(&server, &at)).await;
        let config = config.map_err(|error| error.to_string())?;
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        let name = name.map_err(|_| format!("`{host}` is no name for TLS"))?;
        pump.wire.hello(config, name, Instant::now() + CONNECT).await.map_err(cannot)?;
    }
    Ok(pump)
}

async fn attach(path: &Path) -> Result<Pump, String> {
    let socket = Async::<UnixStream>::connect(path).await;
    let socket =
        socket.map_err(|error| format!("nobody answers at {}: {error}", path.display()))?;
    Ok(Pump::new(Socket::Unix(socket)))
}

async fn connect(host: &str, port: u16) -> io::Result<Async<TcpStream>> {
    let addresses = match host.parse() {
        Ok(ip) => vec![SocketAddr::new(ip, port)],
        Err(_) => {
            let host = host.to_owned();
            smol::unblock(move || crate::web::line::resolve(&host, port, CONNECT)).await?
        }
    };
    let mut last = io::Error::other("the name has no address");
    for address in addresses {
        let late = async {
            Timer::after(CONNECT).await;
            Err(io::ErrorKind::TimedOut.into())
        };
        match Async::<TcpStream>::connect(address).or(late).await {
            Ok(socket) => {
                watch(socket.get_ref());
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
