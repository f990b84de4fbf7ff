//! What went wrong on the way to a peer, as one sentence and a next step.
//!
//! It turns the libraries' errors into ours, for the client and for uploads; it sends nothing.
//! Surprising: the two words that it leaves in an error's fault are the only typed trace of where
//! the attempt ended; callers ask [`was_not_sent`] and [`was_refused_certificate`], never the text.

use std::io;
use std::io::ErrorKind;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, OtherError};
use ureq::Timeout;

use crate::error::{Error, Kind, quoted};
use crate::web::connect::{Stage, Unreached};
use crate::web::exchange::{from_io, is_carried};
use crate::web::verify::Refusal;

const NOT_SENT: &str = "NotSent";
const SILENT: &str = "Silent";
const CERTIFICATE_REFUSED: &str = "CertificateRefused";
const PERHAPS_DONE: &str = "The request may have taken effect; look before repeating it";

/// True if nothing of the request left this machine, so that it may be tried again.
pub fn was_not_sent(error: &Error) -> bool {
    error.fault_name() == Some(NOT_SENT) || was_refused_certificate(error)
}

/// True if the peer said nothing for as long as it is waited for; asking again would wait again.
pub fn was_silent(error: &Error) -> bool {
    error.fault_name() == Some(SILENT)
}

/// True if the peer's certificate was not accepted; trying again changes nothing.
pub fn was_refused_certificate(error: &Error) -> bool {
    error.fault_name() == Some(CERTIFICATE_REFUSED)
}

/// Who is spoken to, for the sentences.
pub(crate) struct Peer {
    /// `host:port`.
    pub name: String,
    /// The proxy's `host:port`, if there is one on the way.
    pub proxy: Option<String>,
    pub connect_timeout: Duration,
}

/// How far the exchange had come.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    Request,
    Body,
}

impl Peer {
    /// Explains a failed exchange; `silence` is what was allowed for this request.
    pub(crate) fn explain(&self, error: ureq::Error, part: Part, silence: Duration) -> Error {
        match error {
            ureq::Error::Other(inner) => match inner.downcast::<Unreached>() {
                Ok(unreached) => self.not_reached(*unreached),
                Err(other) => self.failed(&other.to_string()),
            },
            ureq::Error::Timeout(_) => {
                let text = format!("was silent for {}", seconds(silence));
                self.network(&text).fault(SILENT).hint(PERHAPS_DONE)
            }
            ureq::Error::Io(error) => self.broken(error, part),
            ureq::Error::LargeResponseHeader(_, limit) => {
                self.network(&format!("sent headers of more than {limit} bytes"))
            }
            ureq::Error::Protocol(error) => self
                .network(&format!("did not answer in HTTP: {}", quoted(&error.to_string())))
                .hint("Check the port, and whether it wants TLS"),
            error => self.failed(&error.to_string()),
        }
    }

    fn broken(&self, error: io::Error, part: Part) -> Error {
        // What was to be sent could not be read: our own error on its way through the library.
        if is_carried(&error) {
            return from_io(error);
        }
        if let Some(error) = tls_error(&error) {
            return explain_tls(error, &self.name);
        }
        let place = match part {
            Part::Request => "before it answered",
            Part::Body => "in the middle of the answer",
        };
        match error.kind() {
            ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe => {
                self.network(&format!("closed the connection {place}")).hint(PERHAPS_DONE)
            }
            _ => self.failed(&error.to_string()),
        }
    }

    fn not_reached(&self, unreached: Unreached) -> Error {
        let to_proxy = self.proxy.as_deref() == Some(unreached.target.as_str());
        let who = if to_proxy { "the proxy " } else { "" };
        let who = format!("{who}`{}`", unreached.target);
        let error = match (unreached.stage, unreached.cause) {
            (Stage::Resolve, cause) => no_such_name(&who, &cause, self.connect_timeout),
            (_, ureq::Error::ConnectProxyFailed(reason)) => self.proxy_refused(&reason),
            (stage, ureq::Error::Timeout(reason)) => self.too_slow(&who, stage, reason),
            (_, ureq::Error::Rustls(error)) => explain_tls(&error, &unreached.target),
            (stage, ureq::Error::Io(error)) => match tls_error(&error) {
                Some(error) => explain_tls(error, &unreached.target),
                None => not_connected(&who, stage, &error),
            },
            (_, cause) => {
                network(&who, &format!("cannot be reached: {}", quoted(&cause.to_string())))
            }
        };
        if was_refused_certificate(&error) { error } else { error.fault(NOT_SENT) }
    }

    fn too_slow(&self, who: &str, stage: Stage, reason: Timeout) -> Error {
        crate::logging::debug!("connecting to {who} ran out of time: {reason}");
        let within = seconds(self.connect_timeout);
        if stage == Stage::Handshake {
            let text = format!(
                "accepted the connection but did not finish the TLS handshake within {within}"
            );
            return network(who, &text).hint("Check the port, and the load of the server");
        }
        let by = match &self.proxy {
            Some(proxy) if !who.starts_with("the proxy") => {
                format!(" by way of the proxy `{proxy}`")
            }
            _ => String::new(),
        };
        let text = format!("did not answer{by} within {within}");
        network(who, &text).hint("Check the address and the firewalls in between")
    }

    fn proxy_refused(&self, reason: &str) -> Error {
        let proxy = self.proxy.as_deref().unwrap_or_default();
        // The library says `proxy server responded 407/407`.
        let reason = match reason.rsplit_once('/') {
            Some((_, status)) => format!("it answered {}", quoted(status)),
            None => quoted(reason),
        };
        let text = format!("would not connect to `{}`: {reason}", self.name);
        network(&format!("the proxy `{proxy}`"), &text)
            .hint("Check the proxy's address and credentials, or list this host in NO_PROXY")
    }

    /// An answer whose compression cannot be undone.
    pub(crate) fn not_inflated(&self, error: &io::Error) -> Error {
        crate::logging::debug!("the answer of `{}` cannot be inflated: {error}", self.name);
        self.network("sent a compressed answer that is damaged or cut short")
    }

    /// The client was shut down while the request was under way, or before.
    pub(crate) fn shut_down(&self) -> Error {
        let text = format!("the connection to `{}` was shut down", self.name);
        Error::new(Kind::Cancelled, text)
    }

    fn failed(&self, reason: &str) -> Error {
        self.network(&format!("could not be spoken to: {}", quoted(reason)))
    }

    fn network(&self, what: &str) -> Error {
        network(&format!("`{}`", self.name), what)
    }
}

/// Explains why TLS with `peer` (`host:port`) failed.
pub fn explain_tls(error: &rustls::Error, peer: &str) -> Error {
    let who = format!("`{peer}`");
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) => {
            match inner.downcast_ref::<Refusal>() {
                Some(refusal) => network(&format!("the certificate of {who}"), &refusal.text)
                    .hint(refusal.hint.clone())
                    .fault(CERTIFICATE_REFUSED),
                None => {
                    network(&who, &format!("has a bad certificate: {}", quoted(&inner.to_string())))
                }
            }
        }
        rustls::Error::InvalidMessage(_) => {
            network(&who, "does not speak TLS").hint("Check the port; it may serve plain HTTP")
        }
        rustls::Error::PeerIncompatible(_)
        | rustls::Error::AlertReceived(
            AlertDescription::ProtocolVersion
            | AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity,
        ) => network(&who, "has no version or cipher of TLS in common with us").hint(
            "Update the server: it needs TLS 1.3, or TLS 1.2 with ECDHE and AES-GCM or ChaCha20",
        ),
        error => network(&who, &format!("failed in TLS: {}", quoted(&error.to_string()))),
    }
}

fn network(who: &str, what: &str) -> Error {
    Error::new(Kind::Network, format!("{who} {what}"))
}

fn no_such_name(who: &str, cause: &ureq::Error, within: Duration) -> Error {
    let reason = match cause {
        ureq::Error::Timeout(_) => format!("no answer within {}", seconds(within)),
        ureq::Error::Io(error) => quoted(&error.to_string()),
        cause => quoted(&cause.to_string()),
    };
    let reason = reason.trim_start_matches("failed to lookup address information: ");
    network(who, &format!("has no address: {reason}"))
        .hint("Check the spelling and DNS, or use the IP address")
}

fn not_connected(who: &str, stage: Stage, error: &io::Error) -> Error {
    match error.kind() {
        ErrorKind::ConnectionRefused => network(who, "refused the connection")
            .hint("Check the address and the port, and that the service is running"),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
            if stage == Stage::Handshake =>
        {
            network(who, "closed the connection instead of beginning TLS")
                .hint("Check the port; it may serve plain HTTP, or allow only some clients")
        }
        _ => network(who, &format!("cannot be reached: {}", quoted(&error.to_string())))
            .hint("Check the address and this machine's network"),
    }
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_millis().div_ceil(100) as f64 / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(proxy: Option<&str>) -> Peer {
        Peer {
            name: "esx7:443".to_owned(),
            proxy: proxy.map(str::to_owned),
            connect_timeout: Duration::from_secs(10),
        }
    }

    #[track_caller]
    fn check(peer: &Peer, stage: Stage, target: &str, cause: ureq::Error, expected: &str) {
        let unreached = Unreached { stage, target: target.to_owned(), cause };
        let error = ureq::Error::Other(Box::new(unreached));
        let error = peer.explain(error, Part::Request, Duration::from_secs(60));
        assert_eq!(error.sentence(), expected);
        assert!(was_not_sent(&error) && error.next_step().is_some());
    }

    #[test]
    fn what_takes_too_long_says_how_long() {
        let slow = || ureq::Error::Timeout(Timeout::Connect);
        let direct = peer(None);
        let text = "`esx7:443` did not answer within 10 s";
        check(&direct, Stage::Dial, "esx7:443", slow(), text);
        let text = "`esx7:443` has no address: no answer within 10 s";
        check(&direct, Stage::Resolve, "esx7:443", slow(), text);
        let tunnelled = peer(Some("proxy:3128"));
        let text = "the proxy `proxy:3128` did not answer within 10 s";
        check(&tunnelled, Stage::Dial, "proxy:3128", slow(), text);
        let text = "`esx7:443` did not answer by way of the proxy `proxy:3128` within 10 s";
        check(&tunnelled, Stage::Dial, "esx7:443", slow(), text);
    }

    #[test]
    fn what_the_system_says_is_passed_on() {
        let error = io::Error::from(ErrorKind::HostUnreachable);
        let text = "`esx7:443` cannot be reached: host unreachable";
        check(&peer(None), Stage::Dial, "esx7:443", error.into(), text);
    }

    #[test]
    fn an_error_of_another_sort_may_have_been_sent() {
        let error = ureq::Error::Timeout(Timeout::PerRead);
        let error = peer(None).explain(error, Part::Request, Duration::from_millis(1500));
        assert_eq!(error.sentence(), "`esx7:443` was silent for 1.5 s");
        assert!(!was_not_sent(&error));
    }
}
