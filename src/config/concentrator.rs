//! The settings of the serial concentrator, which only make sense together.
//!
//! Nothing is resolved or opened here. Surprising: where machines dial in is of use to a process that
//! does not listen too, because it writes that address into a machine's serial port.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::config::endpoint::{Endpoint, host_and_port};
use crate::config::problem::Problems;
use crate::config::values::Values;

/// The port that concentrators have unless told otherwise.
pub const PORT: u16 = 13_370;

/// Where machines dial in.
#[derive(Clone, Debug, Default)]
pub struct Concentrator {
    /// SERIAL_LISTEN as written: an address, an address and a port, or a port.
    pub listen: Option<String>,
    /// As hosts dial it: `telnet://10.0.0.5:13370`.
    pub advertised: Option<String>,
    /// Files of the certificate chain and of its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// What SERIAL_LISTEN says: a host, perhaps, and a port, which may be 0 for any that is free.
pub fn place(text: &str) -> Result<(Option<String>, u16), String> {
    if let Ok(port) = text.parse()
        && text.bytes().all(|it| it.is_ascii_digit())
    {
        return Ok((None, port));
    }
    match (host_and_port(text), text.strip_suffix(":0").map(host_and_port)) {
        (Ok((host, port)), _) => Ok((Some(host), port.unwrap_or(PORT))),
        (Err(_), Some(Ok((host, None)))) => Ok((Some(host), 0)),
        _ => Err("is no place to listen, write address, address:port, [v6]:port or a port".into()),
    }
}

/// What hosts dial: a scheme, if there is one, and a name with a port, if there is one.
pub fn dialled(text: &str) -> Result<(Option<&str>, String, Option<u16>), String> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, text),
    };
    match host_and_port(rest) {
        Ok((host, port)) if matches!(scheme, None | Some("telnet" | "telnets")) => {
            Ok((scheme, host, port))
        }
        // Not repeated: what stands before an `@` may be a password.
        _ => Err("is nothing that hosts can dial, write name, name:port or telnets://name:port"
            .to_owned()),
    }
}

/// Reads the settings together.
pub(in crate::config) fn read(values: &Values<'_>, problems: &mut Problems) -> Concentrator {
    let path = |name| values.text(name).map(PathBuf::from);
    let (chain, key) = (path("SERIAL_TLS_CERT"), path("SERIAL_TLS_KEY"));
    for (one, name, other) in [(&chain, "SERIAL_TLS_CERT", &key), (&key, "SERIAL_TLS_KEY", &chain)]
    {
        if one.is_some() && other.is_none() {
            let missing = if name.ends_with("KEY") { "SERIAL_TLS_CERT" } else { "SERIAL_TLS_KEY" };
            let text = format!("is of no use without `{missing}`, set both or neither");
            values.complain(name, text, problems);
        }
    }
    let certificate = chain.zip(key);
    let listen = values.text("SERIAL_LISTEN");
    let bound = listen.as_deref().and_then(|it| place(it).ok());
    let uri = |tls: bool, host: String, port: u16| {
        let scheme = if tls { "telnets" } else { "telnet" };
        format!("{scheme}://{}", Endpoint { host, port, tls })
    };
    let nowhere = |host: &str| host.parse::<IpAddr>().is_ok_and(|it| it.is_unspecified());
    let advertised = match values.text("SERIAL_ADVERTISE") {
        Some(text) => dialled(&text).ok().map(|(scheme, host, port)| {
            if nowhere(&host) {
                let text = "is where one listens, name an address that hosts can dial";
                values.complain("SERIAL_ADVERTISE", text.to_owned(), problems);
            }
            if certificate.is_some() && scheme == Some("telnet") {
                let text = "says telnet://, but with `SERIAL_TLS_CERT` TLS is spoken, write \
                            telnets:// or only name:port";
                values.complain("SERIAL_ADVERTISE", text.to_owned(), problems);
            }
            let port = port.or(bound.as_ref().map(|it| it.1).filter(|it| *it > 0));
            let tls = scheme == Some("telnets") || certificate.is_some();
            uri(tls, host, port.unwrap_or(PORT))
        }),
        None => bound
            .and_then(|(host, port)| Some((host?, port)))
            .filter(|(host, port)| *port > 0 && !nowhere(host))
            .map(|(host, port)| uri(certificate.is_some(), host, port)),
    };
    Concentrator { listen, advertised, certificate }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_what_hosts_dial() {
        for (text, host, port) in [
            ("13370", None, 13_370),
            ("0", None, 0),
            ("0.0.0.0", Some("0.0.0.0"), PORT),
            ("::", Some("::"), PORT),
            ("[::1]:0", Some("::1"), 0),
            ("127.0.0.1:0", Some("127.0.0.1"), 0),
            ("jump.lab:2000", Some("jump.lab"), 2000),
        ] {
            assert_eq!(place(text), Ok((host.map(str::to_owned), port)), "{text}");
        }
        for text in ["", "70000", "+1", "a:+0", ":0", "[::1", "a b", "root:x@h:1", "unix:/x"] {
            assert!(place(text).is_err(), "{text}");
        }
        let read = |text: &'static str| dialled(text).map(|it| (it.0, it.2));
        assert_eq!(read("telnets://[fd00::5]:1"), Ok((Some("telnets"), Some(1))));
        assert_eq!(read("jump.lab"), Ok((None, None)));
        for text in ["http://x", "telnet://root:hunter2@h:1", "telnet://", "a:0"] {
            assert!(dialled(text).is_err_and(|it| !it.contains("hunter2")), "{text}");
        }
    }
}
