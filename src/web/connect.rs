//! From a name to a connection that can carry HTTP: resolve, dial or tunnel, shake hands.
//!
//! The only file that touches the HTTP library's unstable transport traits. It explains nothing to
//! users; it marks how far an attempt came, so that `failure` can. Surprising: everything that fails
//! here is wrapped in [`Unreached`], which proves that no byte of a request was sent.

use std::fmt;
use std::io::ErrorKind;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::time::{Duration as Span, Instant};
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout,
    TcpConnector, Transport, TransportAdapter,
};

use crate::web::line::{MOST_ADDRESSES, resolve};

/// How far an attempt to connect came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Resolve,
    Dial,
    Handshake,
}

/// An attempt that ended before anything of the request was sent.
#[derive(Debug)]
pub(crate) struct Unreached {
    pub stage: Stage,
    /// The `host:port` that the attempt was for, be it the proxy's.
    pub target: String,
    pub cause: ureq::Error,
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.target, self.cause)
    }
}

impl std::error::Error for Unreached {}

/// Marks the failure, unless a lower step has done so already.
fn unreached(stage: Stage, uri: &Uri, cause: ureq::Error) -> ureq::Error {
    match cause {
        ureq::Error::Other(inner) if inner.is::<Unreached>() => ureq::Error::Other(inner),
        cause => {
            let target = authority(uri);
            ureq::Error::Other(Box::new(Unreached { stage, target, cause }))
        }
    }
}

/// `host:port` without user info.
pub(crate) fn authority(uri: &Uri) -> String {
    let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    format!("{}:{}", uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(usual))
}

/// The agent with the whole way to a connection; `tls` is `None` where HTTP is plain, `addresses` are
/// the peer's where they are known.
pub(crate) fn agent(
    config: Config,
    tls: Option<Arc<ClientConfig>>,
    addresses: Vec<SocketAddr>,
) -> ureq::Agent {
    let known = if config.proxy().is_some() { Vec::new() } else { addresses };
    let way =
        ().chain(ConnectProxyConnector::default())
            .chain(TcpConnector::default())
            .chain(TlsConnector(tls));
    ureq::Agent::with_parts(config, Marked(way), Names { known })
}

/// Resolves names.
#[derive(Debug)]
struct Names {
    /// All that the peer may be reached at; none where that is not known before.
    known: Vec<SocketAddr>,
}

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut found = self.empty();
        let mut tell = |all: &[SocketAddr]| {
            all.iter().take(MOST_ADDRESSES).for_each(|it| found.push(*it));
        };
        if !self.known.is_empty() {
            tell(&self.known);
            return Ok(found);
        }
        let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(usual);
        match resolve(bare_host(uri), port, *timeout.after) {
            Ok(all) if !all.is_empty() => tell(&all),
            Ok(_) => return Err(unreached(Stage::Resolve, uri, ureq::Error::HostNotFound)),
            Err(error) => {
                let cause = match error.kind() {
                    ErrorKind::TimedOut => ureq::Error::Timeout(timeout.reason),
                    _ => ureq::Error::Io(error),
                };
                return Err(unreached(Stage::Resolve, uri, cause));
            }
        }
        Ok(found)
    }
}

/// The host without the brackets of an IPv6 address.
fn bare_host(uri: &Uri) -> &str {
    uri.host().unwrap_or_default().trim_matches(['[', ']'])
}

/// The whole way, with its failures marked.
#[derive(Debug)]
struct Marked<C>(C);

impl<C: Connector<()>> Connector<()> for Marked<C> {
    type Out = C::Out;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let made = self.0.connect(details, chained);
        made.map_err(|error| unreached(Stage::Dial, details.uri, error))
    }
}

/// Wraps a connection in TLS if the address asks for it.
struct TlsConnector(Option<Arc<ClientConfig>>);

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsConnector")
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(below) = chained else {
            return Ok(None);
        };
        match &self.0 {
            Some(config) if details.needs_tls() && !below.is_tls() => {
                shake_hands(Arc::clone(config), below.boxed(), details)
                    .map(|done| Some(Either::B(done)))
                    .map_err(|error| unreached(Stage::Handshake, details.uri, error))
            }
            _ => Ok(Some(Either::A(below))),
        }
    }
}

/// Finishes the handshake here, so that the time allowed for connecting bounds it too.
fn shake_hands(
    config: Arc<ClientConfig>,
    below: Box<dyn Transport>,
    details: &ConnectionDetails,
) -> Result<TlsTransport, ureq::Error> {
    let name = ServerName::try_from(bare_host(details.uri).to_owned())
        .map_err(|_| ureq::Error::Tls("the host's name cannot stand in a certificate"))?;
    let mut conn = ClientConnection::new(config, name)?;
    let mut sock = TransportAdapter::new(below, details.current_time.clone());
    sock.set_timeout(remaining(details));
    conn.complete_io(&mut sock)?;
    let (input, output) = (details.config.input_buffer_size(), details.config.output_buffer_size());
    Ok(TlsTransport {
        buffers: LazyBuffers::new(input, output),
        stream: StreamOwned { conn, sock },
    })
}

/// What dialling has left of the time for connecting; silence is a matter of later.
fn remaining(details: &ConnectionDetails) -> NextTimeout {
    let spent = match ((details.current_time)(), details.now) {
        (Instant::Exact(now), Instant::Exact(then)) => now.saturating_duration_since(then),
        _ => Duration::ZERO,
    };
    let after = match details.timeout.after {
        Span::Exact(whole) => Span::Exact(whole.saturating_sub(spent)),
        Span::NotHappening => Span::NotHappening,
    };
    NextTimeout { after, per_read: None, per_write: None, ..details.timeout }
}

/// HTTP over TLS over whatever is below: a socket, or a tunnel through a proxy.
struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsTransport")
    }
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let output = self.buffers.output();
        self.stream.write_all(output.get(..amount).unwrap_or_default())?;
        // Writing hides a failure of the socket; flushing reports it.
        self.stream.flush()?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        // Bytes that are left over would be taken for the start of the next answer.
        let below = self.stream.get_mut().get_mut();
        below.buffers().input().is_empty() && below.is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}
