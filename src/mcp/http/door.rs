//! Who comes in: names by which the server may be called, pages that may call it, addresses, sign-in.
//!
//! Surprising: the check of names is not about who asks. A page that a person opens can have its own
//! name lead to this machine, and the browser then lends the page the person's place in the network;
//! only the names in the request still tell.

use std::net::IpAddr;
use std::sync::Arc;

use crate::auth::Clock;
use crate::auth::challenge::Resource;
use crate::auth::principal::Principal;
use crate::auth::rate;
use crate::auth::signin::{Presented, SignIn, Turned};
use crate::error::Error;
use crate::mcp::http::ladder::{Refused, all};
use crate::web::serve::handler::{Answer, Peer, Request};

/// Whoever knows callers by what their requests bring.
pub trait Door: Send + Sync {
    /// Who asks, where that is known without asking anybody; it must not wait.
    fn known(&self, request: &Request) -> Option<Result<Principal, Turned>>;
    /// Who asks; it may wait for the issuer of tokens.
    fn admit(&self, request: &Request) -> Result<Principal, Turned>;
    /// For one who may not do what he asks for; none where nobody could give him more.
    fn needs_more(&self, who: &Principal, error: Error) -> Option<Turned>;
    /// This server, as something that tokens are issued for.
    fn resource(&self) -> Option<&Resource>;
}

impl Door for SignIn {
    fn known(&self, request: &Request) -> Option<Result<Principal, Turned>> {
        let asks = self.issuer.is_some() && request.header("Authorization").is_some();
        (!asks).then(|| Door::admit(self, request))
    }

    fn admit(&self, request: &Request) -> Result<Principal, Turned> {
        let authorization: Vec<&str> = all(request, "Authorization").collect();
        let api_key: Vec<&str> = all(request, "X-API-Key").collect();
        let presented = Presented { authorization: &authorization, api_key: &api_key };
        SignIn::admit(self, presented, &Clock::now())
    }

    fn needs_more(&self, who: &Principal, error: Error) -> Option<Turned> {
        let by_token = who.how == crate::auth::principal::How::Oauth;
        by_token.then(|| SignIn::needs_more(self, error))
    }

    fn resource(&self) -> Option<&Resource> {
        self.issuer.as_ref().map(|it| &it.1)
    }
}

impl<T: Door + ?Sized> Door for Arc<T> {
    fn known(&self, request: &Request) -> Option<Result<Principal, Turned>> {
        (**self).known(request)
    }

    fn admit(&self, request: &Request) -> Result<Principal, Turned> {
        Door::admit(&**self, request)
    }

    fn needs_more(&self, who: &Principal, error: Error) -> Option<Turned> {
        (**self).needs_more(who, error)
    }

    fn resource(&self) -> Option<&Resource> {
        (**self).resource()
    }
}

/// The answer to one who is turned away, of this name or address.
pub fn turned(it: Turned, at: &str) -> Answer {
    crate::logging::info!("turned away ({at}): {}", it.error);
    let mut answer = Refused::new(it.status, it.error.to_string()).answer();
    if let Some(challenge) = it.challenge {
        answer = answer.with("WWW-Authenticate", challenge);
    }
    match it.retry_after {
        Some(seconds) => answer.with("Retry-After", seconds.to_string()),
        None => answer,
    }
}

/// Whether the name that the request calls this server by is one of its own.
pub fn host_fits(request: &Request, hosts: &[String]) -> bool {
    let Peer::Net(from) = request.peer else { return true };
    let whole = request.header("Host").unwrap_or_default();
    let name = without_port(whole);
    let listed = |it: &String| it.eq_ignore_ascii_case(whole) || it.eq_ignore_ascii_case(name);
    if hosts.iter().any(listed) {
        return true;
    }
    // Nobody can have an address lead elsewhere. From this machine itself, only its own.
    match name.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(ip) => ip.is_loopback() == from.ip().is_loopback(),
        Err(_) => name.eq_ignore_ascii_case("localhost") && from.ip().is_loopback(),
    }
}

/// Whether the page that asks may ask: one of this server's own, or a listed one. True where no page
/// asks.
pub fn origin_fits(request: &Request, origins: &[String]) -> bool {
    let own = request.header("Host").unwrap_or_default();
    all(request, "Origin").all(|origin| {
        let listed =
            |it: &String| it == "*" || it.trim_end_matches('/').eq_ignore_ascii_case(origin);
        let from = origin.split_once("://").map_or("", |it| it.1);
        origins.iter().any(listed) || (!from.is_empty() && from.eq_ignore_ascii_case(own))
    })
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|it| it.is_ascii_digit()) => name,
        _ => authority,
    }
}

/// By what a caller without a name is counted. Proxies that are `trusted` tell whom they speak for,
/// each the one before it; what stands further left anybody may have written. None is a Unix socket.
pub fn address(request: &Request, trusted: &dyn Fn(Option<IpAddr>) -> bool) -> String {
    let mut ip = match request.peer {
        Peer::Net(from) => Some(from.ip()),
        Peer::Local(_) => None,
    };
    let told: Vec<&str> = all(request, "X-Forwarded-For").flat_map(|it| it.split(',')).collect();
    for it in told.iter().rev().map(|it| it.trim()) {
        if !trusted(ip) {
            break;
        }
        let bare = |it: &str| it.trim_matches(['[', ']']).parse().ok();
        match bare(it).or_else(|| bare(without_port(it))) {
            Some(next) => ip = Some(next),
            None => break,
        }
    }
    ip.map_or_else(|| "local".to_owned(), rate::address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(peer: &str, headers: &[(&str, &str)]) -> Request {
        Request {
            method: "POST".to_owned(),
            target: "/mcp".to_owned(),
            headers: headers.iter().map(|it| (it.0.to_owned(), it.1.to_owned())).collect(),
            body: Vec::new(),
            peer: peer.parse().map_or(Peer::Local(None), Peer::Net),
            tls: false,
            listener: "a".into(),
        }
    }

    #[test]
    fn names_of_this_server() {
        let hosts = ["jump.example".to_owned(), "other:8443".to_owned()];
        let fits = |peer: &str, host: &str| host_fits(&request(peer, &[("Host", host)]), &hosts);
        for host in
            ["localhost:8080", "LOCALHOST", "127.0.0.1:1", "127.9.9.9", "[::1]:8080", "[::1]"]
        {
            assert!(fits("127.0.0.1:9", host) && fits("[::1]:9", host), "{host}");
            assert!(!fits("10.0.0.9:9", host), "{host}");
        }
        for host in ["Jump.Example", "jump.example:8080", "other:8443"] {
            assert!(fits("127.0.0.1:9", host) && fits("10.0.0.9:9", host), "{host}");
        }
        for host in
            ["evil.example", "other:1", "localhost.evil.example", "", "jump.example.", "0:0"]
        {
            assert!(!fits("127.0.0.1:9", host) && !fits("10.0.0.9:9", host), "{host}");
        }
        assert!(fits("10.0.0.9:9", "10.0.0.1:8080") && !fits("127.0.0.1:9", "10.0.0.1:8080"));
        assert!(fits("unix", "a"));
    }

    #[test]
    fn pages_that_may_ask() {
        let origins = ["https://app.example/".to_owned()];
        let fits = |origin: &[&str]| {
            let mut headers = vec![("Host", "localhost:8080")];
            headers.extend(origin.iter().map(|it| ("Origin", *it)));
            origin_fits(&request("127.0.0.1:9", &headers), &origins)
        };
        for good in [&[][..], &["http://localhost:8080"], &["https://APP.example"]] {
            assert!(fits(good), "{good:?}");
        }
        for bad in
            ["null", "", "https://evil.example", "http://localhost:9", "https://app.example.evil"]
        {
            assert!(!fits(&[bad]) && !fits(&["https://app.example", bad]), "{bad}");
        }
        let any = ["*".to_owned()];
        assert!(origin_fits(&request("127.0.0.1:9", &[("Origin", "null")]), &any));
    }

    #[test]
    fn the_right_most_address_that_no_proxy_has() {
        let of = |peer: &str, told: &[&str]| {
            let headers: Vec<_> = told.iter().map(|it| ("X-Forwarded-For", *it)).collect();
            let proxy = |ip: Option<IpAddr>| ip.is_none_or(|it| it.to_string().starts_with("10."));
            address(&request(peer, &headers), &proxy)
        };
        assert_eq!(of("192.0.2.1:9", &["1.2.3.4"]), "192.0.2.1");
        assert_eq!(of("10.0.0.1:9", &["6.6.6.6, 1.2.3.4"]), "1.2.3.4");
        assert_eq!(of("10.0.0.1:9", &["6.6.6.6, 1.2.3.4", "10.0.0.2:55"]), "1.2.3.4");
        assert_eq!(of("10.0.0.1:9", &["[2001:db8::1]:5"]), "2001:db8::/64");
        assert_eq!(of("10.0.0.1:9", &["1.2.3.4, unknown"]), "10.0.0.1");
        assert_eq!(of("10.0.0.1:9", &[]), "10.0.0.1");
        assert_eq!((of("unix", &["1.2.3.4"]), of("unix", &[])), ("1.2.3.4".into(), "local".into()));
    }
}
