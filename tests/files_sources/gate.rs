//! Where nobody is led: by the URL, by a name, by a redirect, through a proxy.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use jumpvisor::error::Kind;
use jumpvisor::files::Files;
use jumpvisor::files::fetch::Web;
use jumpvisor::files::gate::Hosts;
use jumpvisor::text::secret::Secret;

use crate::server::{Server, hear, hello, relay, reply, serve, serve_at};
use crate::share::{files, header, local, read, refused, url, web};

/// A server that leads everybody elsewhere.
fn leads(to: impl Into<String>) -> Server {
    let to = format!("Location: {}\r\n", to.into());
    serve(None, move |_, wire| reply(wire, "302 Found", &to, b""))
}

#[test]
fn without_a_list_this_machine_is_closed() {
    let server = serve(None, hello);
    let any = Files::anywhere().with_web(Web { hosts: Hosts::any(), ..web(&[]) });
    for host in ["127.0.0.1", "localhost", "[::1]", "127.9.9.9", "0.0.0.0", "[::ffff:127.0.0.1]"] {
        let error = refused(any.source(&format!("http://{host}:{}/x", server.port)));
        assert_eq!(error.kind(), Kind::Denied, "{error}");
        assert!(error.to_string().contains("this machine itself"), "{error}");
        assert!(error.to_string().contains("list that address itself in URL_HOSTS"), "{error}");
    }
    for host in ["169.254.169.254", "[fd00:ec2::254]", "100.100.100.200"] {
        let error = refused(any.source(&format!("http://{host}/latest/meta-data")));
        assert!(error.to_string().contains("metadata service"), "{error}");
    }
    assert_eq!(server.dials(), 0);
}

#[test]
fn only_listed_hosts_are_asked() {
    let server = serve(None, hello);
    let at = |host: &str| format!("http://{host}:{}/x", server.port);
    assert_eq!(read(files(&["127.0.0.1"]).source(&at("localhost"))).unwrap(), b"hello");
    assert_eq!(read(files(&["localhost"]).source(&at("LOCALHOST."))).unwrap(), b"hello");
    // IPv6, where this machine has it.
    if TcpListener::bind("[::1]:0").is_ok() {
        let six = serve_at("[::1]:0", None, hello);
        let named = format!("http://[0::1]:{}/x", six.port);
        assert_eq!(read(files(&["[::1]"]).source(&named)).unwrap(), b"hello");
        let host = format!("[::1]:{}", six.port);
        assert_eq!(header(&six.last(), "host"), Some(host.as_str()));
    }
    let dials = server.dials();
    let error = refused(files(&["files.lab"]).source(&at("127.0.0.1")));
    assert!(error.to_string().contains("nothing may be fetched from `127.0.0.1`"), "{error}");
    // A range opens no door to this machine.
    let error = refused(files(&["127.0.0.0/8"]).source(&at("127.0.0.1")));
    assert!(error.to_string().contains("this machine itself"), "{error}");
    let error = refused(files(&["none"]).source(&at("files.lab")));
    assert!(error.to_string().contains("and names none"), "{error}");
    assert_eq!(server.dials(), dials);
}

#[test]
fn redirects_lead_to_the_file_but_never_past_the_gate() {
    let end = serve(None, hello);
    let middle = leads(url(&end, "/c"));
    let start = serve(None, {
        let to = format!("Location: {}\r\n", url(&middle, "/b"));
        move |request, wire| match request.starts_with("GET /a ") {
            true => reply(wire, "307 Temporary Redirect", "Location: sub/../a2?x=1\r\n", b""),
            false => reply(wire, "308 Permanent Redirect", &to, b""),
        }
    });
    let named = format!("http://me:hunter2@127.0.0.1:{}/a", start.port);
    assert_eq!(read(local().source(&named)).unwrap(), b"hello");
    // The login stays with its own server.
    let heard = start.heard.lock().unwrap();
    assert!(heard[1].starts_with("GET /a2?x=1 "), "{}", heard[1]);
    assert!(heard.iter().all(|it| header(it, "authorization").is_some()));
    for other in [&middle, &end] {
        assert_eq!(header(&other.last(), "authorization"), None);
    }
    // Nor does one that the redirect brings along reach anybody.
    let start = leads(format!("http://me:hunter2@127.0.0.1:{}/c", end.port));
    assert_eq!(read(local().source(&url(&start, "/"))).unwrap(), b"hello");
    assert_eq!(header(&end.last(), "authorization"), None);

    for (to, said) in [
        (
            "http://169.254.169.254/latest/meta-data/",
            "redirected to `http://169.254.169.254/latest",
        ),
        ("//169.254.169.254/x", "link-local, such as a metadata service"),
        ("http://[::ffff:a9fe:a9fe]/x", "metadata service"),
        ("http://0x7f.1/x", "not unmistakable"),
        ("ftp://files.lab/x", "`ftp://` cannot"),
        ("http://files.lab/x", "nothing may be fetched from `files.lab`"),
    ] {
        let start = leads(to);
        let error = refused(local().source(&url(&start, "/a.ova")));
        assert!(error.to_string().contains(said), "{error}");
        assert!(error.to_string().starts_with(&format!("`{}`", url(&start, "/a.ova"))), "{error}");
    }
}

#[test]
fn a_redirect_by_name_does_not_reach_this_machine() {
    let inner = serve(None, hello);
    let to = format!("Location: http://localhost:{}/secret\r\n", inner.port);
    let outer = serve_at("127.0.0.2:0", None, move |_, wire| reply(wire, "302 Found", &to, b""));
    let error =
        refused(files(&["127.0.0.2", "*"]).source(&format!("http://127.0.0.2:{}/", outer.port)));
    // With `*` even listed addresses are judged.
    assert!(error.to_string().contains("this machine itself"), "{error}");
    let error = refused(files(&["127.0.0.2"]).source(&format!("http://127.0.0.2:{}/", outer.port)));
    assert!(error.to_string().contains("`localhost` leads to"), "{error}");
    assert!(error.to_string().contains("this machine itself"), "{error}");
    assert_eq!(inner.dials(), 0);
}

#[test]
fn who_leads_in_circles_is_left() {
    let server = serve(None, |_, wire| reply(wire, "301 Moved", "Location: /again\r\n", b""));
    let error = refused(local().source(&url(&server, "/a")));
    assert!(error.to_string().contains("redirects more than 5 times"), "{error}");
    assert_eq!(server.heard.lock().unwrap().len(), 6);
}

#[test]
fn a_proxy_connects_to_what_the_list_names() {
    let server = serve(None, hello);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (list, target) = (heard.clone(), server.port);
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let Some(request) = hear(&mut stream) else { continue };
            list.lock().unwrap().push(request);
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let to = TcpStream::connect(("127.0.0.1", target)).unwrap();
            thread::spawn(move || relay(stream, to));
        }
    });
    let through = |hosts: &[&str], no_proxy: &str| {
        Files::anywhere().with_web(Web {
            proxy: Some(Secret::new(format!("http://127.0.0.1:{port}"))),
            no_proxy: no_proxy.to_owned(),
            ..web(hosts)
        })
    };
    // A name that has no address here; the proxy knows one.
    let named = "http://files.invalid:8080/a.ova";
    assert_eq!(read(through(&["files.invalid"], "").source(named)).unwrap(), b"hello");
    let first = heard.lock().unwrap()[0].clone();
    assert!(first.starts_with("CONNECT files.invalid:8080 HTTP/1.1\r\n"), "{first}");
    for (hosts, bad, said) in [
        (&["other.lab"][..], named, "nothing may be fetched"),
        (&["10.0.0.0/8"][..], named, "nothing may be fetched"),
        (&["*"][..], "http://169.254.169.254/x", "metadata"),
        (&["*"][..], "http://localhost/x", "this machine itself"),
    ] {
        let error = refused(through(hosts, "").source(bad));
        assert!(error.to_string().contains(said), "{error}");
    }
    assert_eq!(heard.lock().unwrap().len(), 1);
    let direct = through(&["127.0.0.1"], "127.0.0.0/8");
    assert_eq!(read(direct.source(&url(&server, "/"))).unwrap(), b"hello");
    assert_eq!(heard.lock().unwrap().len(), 1);
}
