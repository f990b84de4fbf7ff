//! The HTTP client: one peer, one trust, connections that are kept for the next request.
//!
//! It follows no redirect, keeps no cookie and retries nothing; whoever knows what a request means
//! decides that, with [`was_not_sent`](crate::web::failure::was_not_sent). It must not know any
//! protocol above HTTP. Surprising: a kept connection that the peer closes at the very moment of use
//! makes the request fail, since nobody can tell whether it was carried out; connections are
//! therefore kept for [`MAX_IDLE_AGE`] only, and looked at before use.

use std::io::Read;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ureq::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH};
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use ureq::{AsSendBody, Body, Proxy, ProxyProtocol};

use crate::error::{Error, Result};
use crate::web::connect::{agent, authority};
use crate::web::exchange::{Exchange, Request, Response, bare};
use crate::web::failure::{Part, Peer};
use crate::web::inflate::{Inflated, Raw};
use crate::web::no_proxy::bypasses;
use crate::web::tls::{Tls, Trust};
use crate::web::upload::{Tunnel, Way};

/// How long an unused connection is kept; shorter than any hypervisor or firewall does.
pub const MAX_IDLE_AGE: Duration = Duration::from_secs(10);

/// Connections kept per peer; further ones are closed after use.
const MAX_IDLE: usize = 4;

/// Longest headers of an answer; a hypervisor's are below 1 KiB.
const MAX_HEADERS: usize = 32 * 1024;

/// Buffers of a connection; the library wants the first to hold more than all headers.
const BUFFERS: (usize, usize) = (64 * 1024, 16 * 1024);

/// Where the peer is and how it is reached.
pub struct Settings {
    /// Name or address; IPv6 with or without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// False for plain HTTP, which only simulators speak.
    pub tls: bool,
    /// Which certificates are accepted.
    pub trust: Trust,
    /// Bounds resolving, and then dialling, tunnelling and the TLS handshake together.
    pub connect_timeout: Duration,
    /// The longest silence of the peer while a request is under way.
    pub idle_timeout: Duration,
    /// `http://[user:password@]host:port` of a proxy that tunnels (CONNECT).
    pub proxy: Option<String>,
    /// Hosts that are reached without it, see [`bypasses`].
    pub no_proxy: String,
}

/// A client of one peer.
pub struct Client {
    agent: ureq::Agent,
    /// For what is larger than memory.
    way: Way,
    base: String,
    peer: Arc<Peer>,
    tls: Option<Tls>,
    silence: Duration,
    ended: Arc<AtomicBool>,
}

impl Client {
    /// Checks the settings and reads what the trust needs; does not connect.
    pub fn new(settings: Settings) -> Result<Client> {
        Client::at(settings, Vec::new())
    }

    /// The same for a name that was resolved already: only these addresses are connected to, so that
    /// what was checked cannot become another. None are for a name that is resolved as it is needed.
    /// A proxy connects where it sees fit, so they do not matter there.
    pub fn at(settings: Settings, addresses: Vec<SocketAddr>) -> Result<Client> {
        let base = base(&settings)?;
        let proxy = proxy(&settings)?;
        let tls = if settings.tls { Some(Tls::new(&settings.trust)?) } else { None };
        let peer = Peer {
            name: format!("{}:{}", bracketed(&settings.host), settings.port),
            proxy: proxy.as_ref().map(|proxy| authority(proxy.uri())),
            connect_timeout: settings.connect_timeout,
        };
        let peer = Arc::new(peer);
        let way = Way {
            peer: Arc::clone(&peer),
            host: settings.host.trim_matches(['[', ']']).to_owned(),
            port: settings.port,
            addresses: addresses.clone(),
            authority: base.rsplit('/').next().unwrap_or_default().to_owned(),
            tls: tls.as_ref().map(Tls::config),
            tunnel: proxy.as_ref().map(tunnel),
        };
        Ok(Client {
            agent: agent(config(&settings, proxy), tls.as_ref().map(Tls::config), addresses),
            way,
            base,
            peer,
            tls,
            silence: settings.idle_timeout,
            ended: Arc::new(AtomicBool::new(false)),
        })
    }

    /// SHA-256 of the certificate that the peer showed last, accepted or not.
    pub fn seen(&self) -> Option<[u8; 32]> {
        self.tls.as_ref().and_then(Tls::seen).map(|it| it.sha256)
    }

    /// Its SHA-1, which some hypervisors ask for and nothing here trusts.
    pub fn seen_sha1(&self) -> Option<[u8; 20]> {
        self.tls.as_ref().and_then(Tls::seen).map(|it| it.sha1)
    }

    fn send(&self, request: &Request, silence: Duration) -> Result<ureq::http::Response<Body>> {
        let built = self.build(request)?;
        let has_body =
            !request.body.is_empty() || matches!(request.method, "POST" | "PUT" | "PATCH");
        let answer = if has_body {
            self.run(built.map(|()| request.body), silence)
        } else {
            self.run(built, silence)
        };
        answer.map_err(|error| match self.ended.load(Ordering::Acquire) {
            true => self.peer.shut_down(),
            false => self.peer.explain(error, Part::Request, silence),
        })
    }

    fn run(
        &self,
        request: ureq::http::Request<impl AsSendBody>,
        silence: Duration,
    ) -> std::result::Result<ureq::http::Response<Body>, ureq::Error> {
        let request = self
            .agent
            .configure_request(request)
            .timeout_per_read(Some(silence))
            .timeout_per_write(Some(silence))
            .build();
        self.agent.run(request)
    }

    fn build(&self, request: &Request) -> Result<ureq::http::Request<()>> {
        if !request.path.starts_with('/') {
            return Err(Error::bug(format!("`{}` is not an absolute path", bare(&request.path))));
        }
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| Error::bug(format!("`{}` is not a method", request.method)))?;
        let uri: Uri = format!("{}{}", self.base, request.path).parse().map_err(|_| {
            let path = bare(&request.path);
            Error::usage(format!("`{path}` cannot be asked for: a character is not escaped"))
        })?;
        let mut built = ureq::http::Request::new(());
        *built.method_mut() = method;
        *built.uri_mut() = uri;
        *built.headers_mut() = headers(request)?;
        Ok(built)
    }
}

impl Exchange for Client {
    fn exchange(&self, request: &Request) -> Result<Response> {
        if self.ended.load(Ordering::Acquire) {
            return Err(self.peer.shut_down());
        }
        let silence = request.silence.unwrap_or(self.silence);
        if let Some(upload) = &request.upload {
            let mut body = upload;
            return self.way.send(request, upload.length, &mut body, silence);
        }
        let (mut head, body) = self.send(request, silence)?.into_parts();
        let raw = Raw {
            reader: body.into_reader(),
            peer: Arc::clone(&self.peer),
            silence,
            ended: Arc::clone(&self.ended),
        };
        let status = head.status.as_u16();
        // Who asks for a coding of their own gets the bytes as they come.
        let own = request.headers.iter().any(|(it, _)| ACCEPT_ENCODING == *it);
        let body: Box<dyn Read + Send> = if !own && is_gzip(request.method, status, &head.headers) {
            head.headers.remove(CONTENT_ENCODING);
            head.headers.remove(CONTENT_LENGTH);
            Box::new(Inflated::new(raw, Arc::clone(&self.peer)))
        } else {
            Box::new(raw)
        };
        Ok(Response::new(status, owned(&head.headers), body))
    }

    fn shutdown(&self) {
        self.ended.store(true, Ordering::Release);
        self.agent.clone().shutdown();
    }
}

fn config(settings: &Settings, proxy: Option<Proxy>) -> ureq::config::Config {
    let (input, output) = BUFFERS;
    ureq::config::Config::builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(proxy)
        .no_delay(true)
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        .timeout_resolve(Some(settings.connect_timeout))
        .timeout_connect(Some(settings.connect_timeout))
        .max_response_header_size(MAX_HEADERS)
        .input_buffer_size(input)
        .output_buffer_size(output)
        .max_idle_connections(MAX_IDLE)
        .max_idle_connections_per_host(MAX_IDLE)
        .max_idle_age(MAX_IDLE_AGE)
        .build()
}

/// Scheme and authority; a port that goes without saying is left out of the Host header.
fn base(settings: &Settings) -> Result<String> {
    let (scheme, usual) = if settings.tls { ("https", 443) } else { ("http", 80) };
    let host = bracketed(&settings.host);
    let base = match settings.port {
        port if port == usual => format!("{scheme}://{host}"),
        port => format!("{scheme}://{host}:{port}"),
    };
    let whole = base.parse::<Uri>().ok();
    match whole.as_ref().and_then(Uri::authority) {
        Some(found) if found.host() == host && !host.is_empty() => Ok(base),
        _ => Err(Error::usage(format!("`{host}` is neither a host's name nor an address"))
            .hint("Give the name alone, without scheme, user or path")),
    }
}

fn bracketed(host: &str) -> String {
    match host.parse::<Ipv6Addr>() {
        Ok(_) => format!("[{host}]"),
        Err(_) => host.to_owned(),
    }
}

/// The proxy, if this host is reached through one. Its text may hold a password: never shown.
fn proxy(settings: &Settings) -> Result<Option<Proxy>> {
    let Some(text) = settings.proxy.as_deref().filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    if bypasses(&settings.no_proxy, &settings.host, settings.port) {
        return Ok(None);
    }
    match Proxy::new(text) {
        Ok(proxy) if proxy.protocol() == ProxyProtocol::Http => Ok(Some(proxy)),
        _ => Err(Error::usage("the proxy's address is not one that can be used").hint(
            "It must look like `http://proxy.example.com:3128`; only such proxies are known",
        )),
    }
}

/// The same proxy for connections of our own.
fn tunnel(proxy: &Proxy) -> Tunnel {
    Tunnel {
        host: proxy.host().trim_matches(['[', ']']).to_owned(),
        port: proxy.port(),
        login: proxy
            .username()
            .map(|user| format!("{user}:{}", proxy.password().unwrap_or_default())),
    }
}

fn headers(request: &Request) -> Result<HeaderMap> {
    let mut all = HeaderMap::new();
    all.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    for (name, text) in &request.headers {
        let refused = || Error::usage(format!("header `{name}` has a character that HTTP forbids"));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
        let mut value = HeaderValue::from_str(text).map_err(|_| refused())?;
        value.set_sensitive(true);
        if name == ACCEPT_ENCODING {
            all.insert(name, value);
        } else {
            all.append(name, value);
        }
    }
    Ok(all)
}

/// Whether there is a compressed body; some answers name a compression but have none.
fn is_gzip(method: &str, status: u16, headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let named = text(CONTENT_ENCODING)
        .is_some_and(|coding| matches!(coding.to_ascii_lowercase().trim(), "gzip" | "x-gzip"));
    let empty =
        method == "HEAD" || matches!(status, 204 | 304) || text(CONTENT_LENGTH) == Some("0");
    named && !empty
}

fn owned(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}
