//! Whole files, files that break off, and servers that get it wrong.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use jumpvisor::audit::{Audit, Sink};
use jumpvisor::error::Kind;
use jumpvisor::files::Files;
use jumpvisor::files::stop::Stop;
use jumpvisor::files::url::Url;
use jumpvisor::hv::call::{Call, Rights};
use jumpvisor::hv::fleet::Fleet;
use jumpvisor::metrics::Metrics;
use jumpvisor::tools::Level;
use jumpvisor::tools::ctx::Ctx;

use crate::server::{Wire, reply, serve};
use crate::share::{Manner, data, header, local, read, refused, send, share, url, web};

#[test]
fn a_file_is_read_whole_and_from_any_place() {
    let server = share(data(), Manner::default());
    let mut source = local().source(&url(&server, "/my files/a b.ova?sig=hunter2")).unwrap();
    assert_eq!((source.size(), source.can_seek()), (Some(2_800_004), true));
    assert_eq!(source.shown(), url(&server, "/my%20files/a%20b.ova?***"));
    let mut all = Vec::new();
    source.read_to_end(&mut all).unwrap();
    assert!(all == data());
    source.seek(2_800_000).unwrap();
    all.clear();
    source.read_to_end(&mut all).unwrap();
    assert_eq!(all, data()[2_800_000..]);
    let heard = server.heard.lock().unwrap();
    assert!(
        heard[0].starts_with("GET /my%20files/a%20b.ova?sig=hunter2 HTTP/1.1\r\n"),
        "{}",
        heard[0]
    );
    assert_eq!(header(&heard[0], "accept-encoding"), Some("identity"));
    assert_eq!((heard.len(), header(&heard[1], "range")), (2, Some("bytes=2800000-")));
}

#[test]
fn what_breaks_off_goes_on_where_it_was() {
    let server = share(data(), Manner { cut: Some(1_000_000), ..Manner::default() });
    assert!(read(local().source(&url(&server, "/a.ova"))).unwrap() == data());
    let heard = server.heard.lock().unwrap();
    let asked: Vec<_> = heard.iter().map(|it| header(it, "range").unwrap_or("all")).collect();
    assert_eq!(asked, ["bytes=0-", "bytes=1000000-", "bytes=2000000-"]);
    assert_eq!(header(&heard[0], "if-range"), None);
    assert_eq!(header(&heard[1], "if-range"), Some("\"v1\""));
}

#[test]
fn a_server_without_ranges_is_read_once() {
    let server = share(data(), Manner { ranges: false, ..Manner::default() });
    let mut source = local().source(&url(&server, "/a.ova")).unwrap();
    assert_eq!((source.size(), source.can_seek()), (Some(2_800_004), false));
    assert!(source.seek(5).is_err());
    assert!(read(Ok(source)).unwrap() == data());
    let server = share(data(), Manner { ranges: false, cut: Some(1_000_000), ..Manner::default() });
    let error = refused(read(local().source(&url(&server, "/a.ova"))));
    let said = "after 1000000 bytes: `127.0.0.1:";
    assert!(error.to_string().contains(said), "{error}");
    assert!(error.to_string().contains("from their beginning only"), "{error}");
    assert_eq!((error.kind(), server.dials()), (Kind::Network, 1));
}

#[test]
fn a_file_that_was_changed_is_not_sewn_together() {
    let version = |at| if at == 0 { "\"v1\"" } else { "\"v2\"" };
    let server = share(data(), Manner { cut: Some(9_999), version, ..Manner::default() });
    let error = refused(read(local().source(&url(&server, "/a.ova"))));
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.to_string().contains("after 9999 bytes: it is another file now"), "{error}");
    // It became shorter, and nothing marks its versions.
    let server = serve(None, |request, wire| match header(request, "range") {
        Some("bytes=0-") => {
            wire.write_all(b"HTTP/1.1 206 x\r\nContent-Range: bytes 0-99/100\r\nContent-Length: 100\r\n\r\n12345")
                .unwrap();
            false
        }
        _ => reply(wire, "206 x", "Content-Range: bytes 5-6/7\r\n", b"67"),
    });
    let error = refused(read(local().source(&url(&server, "/a.ova"))));
    assert!(error.to_string().contains("after 5 bytes: it is another file now"), "{error}");
}

#[test]
fn refusals_are_told_with_what_to_do() {
    for (status, kind, said) in [
        ("401 Unauthorized", Kind::Denied, "wants a login (HTTP 401). Write it into the URL"),
        ("403 Forbidden", Kind::Denied, "does not let it be read (HTTP 403)"),
        ("404 Not Found", Kind::NotFound, "has no such file (HTTP 404). Check the URL"),
        ("410 Gone", Kind::NotFound, "has no such file (HTTP 410)"),
        ("503 Busy", Kind::Busy, "is too busy or not ready (HTTP 503)"),
        ("500 Oops", Kind::Remote, "does not give the file (HTTP 500)"),
        ("204 No Content", Kind::Remote, "does not give the file (HTTP 204)"),
        ("302 Found", Kind::Remote, "leads nowhere (HTTP 302)"),
    ] {
        let server = serve(None, move |_, wire| reply(wire, status, "", b""));
        let error = refused(local().source(&url(&server, "/a.ova?sig=hunter2")));
        let text = error.to_string();
        assert_eq!(error.kind(), kind, "{text}");
        assert!(
            text.starts_with(&format!("`{}`: its server ", url(&server, "/a.ova?***"))),
            "{text}"
        );
        assert!(text.contains(said) && !text.contains("hunter2"), "{text}");
    }
    let server = serve(None, |_, wire| reply(wire, "401 No", "", b""));
    let named = format!("http://me:hunter2@127.0.0.1:{}/", server.port);
    let text = refused(local().source(&named)).to_string();
    assert!(text.contains("refuses user and password") && !text.contains("hunter2"), "{text}");
    assert_eq!(header(&server.last(), "authorization"), Some("Basic bWU6aHVudGVyMg=="));
}

#[test]
fn an_empty_file_and_one_of_unknown_size() {
    let server = share(Vec::new(), Manner::default());
    let source = local().source(&url(&server, "/empty")).unwrap();
    assert_eq!(source.size(), Some(0));
    assert_eq!(read(Ok(source)).unwrap(), b"");
    let server = serve(None, |_, wire| {
        wire.write_all(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        )
        .is_ok()
    });
    let source = local().source(&url(&server, "/made")).unwrap();
    assert_eq!((source.size(), source.can_seek()), (None, false));
    assert_eq!(read(Ok(source)).unwrap(), b"abc");
}

#[test]
fn a_silent_server_is_asked_twice_and_given_up() {
    let server = serve(None, |request, wire| {
        let from = if header(request, "range") == Some("bytes=0-") { 0 } else { 4 };
        let head = format!(
            "HTTP/1.1 206 x\r\nContent-Range: bytes {from}-99/100\r\nContent-Length: {}\r\n\r\n",
            100 - from
        );
        wire.write_all(head.as_bytes()).unwrap();
        wire.write_all(if from == 0 { b"1234" } else { b"" }).unwrap();
        thread::sleep(Duration::from_secs(60));
        false
    });
    let mut web = web(&["127.0.0.1"]);
    web.idle_timeout = Duration::from_secs(1);
    let files = Files::anywhere().with_web(web);
    let error = refused(read(files.source(&url(&server, "/a.ova"))));
    assert!(error.to_string().contains("after 4 bytes"), "{error}");
    assert!(error.to_string().contains("was silent for 1 s"), "{error}");
    assert_eq!((error.kind(), server.dials()), (Kind::Network, 2));
}

#[test]
fn servers_that_get_parts_wrong_are_not_believed() {
    for (part, said) in [
        (
            "Content-Range: bytes 1-9/10\r\n",
            "asked for what follows byte 0, its server sent `bytes 1-9/10`",
        ),
        ("Content-Range: bytes 0-10/10\r\n", "sent `bytes 0-10/10`"),
        ("Content-Range: bytes */10\r\n", "sent `bytes */10`"),
        ("", "sent `nothing`"),
    ] {
        let server = serve(None, move |_, wire| reply(wire, "206 x", part, b"1234567890"));
        let error = refused(local().source(&url(&server, "/a.ova")));
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(error.kind(), Kind::Remote);
    }
    // Packed on its way, though nobody asked.
    let server = serve(None, |_, wire| reply(wire, "200 OK", "Content-Encoding: gzip\r\n", b"12"));
    let error = refused(local().source(&url(&server, "/a.ova")));
    assert!(error.to_string().contains("packs it on its way (`gzip`)"), "{error}");
    // What lies there packed is as it lies there.
    let packed = read(local().source(&url(&server, "/a.vmdk.gz"))).unwrap();
    assert_eq!(packed, b"12");
    // Headers without an end.
    let server = serve(None, |_, wire| {
        let line = format!("X-Long: {}\r\n", "x".repeat(70_000));
        wire.write_all(format!("HTTP/1.1 200 OK\r\n{line}\r\n").as_bytes()).is_ok()
    });
    let error = refused(local().source(&url(&server, "/a.ova")));
    assert!(error.to_string().contains("sent headers of more than"), "{error}");
    let server = serve(None, |_, wire| {
        let _ = wire.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n");
        false
    });
    let error = refused(local().source(&url(&server, "/a.ova")));
    assert!(error.to_string().contains("did not answer in HTTP"), "{error}");
}

#[test]
fn parts_shorter_than_asked_for_and_short_troubles_are_gone_on_with() {
    let count = AtomicUsize::new(0);
    let server = serve(None, move |request, wire: &mut dyn Wire| {
        let from: usize =
            header(request, "range").unwrap()[6..].trim_end_matches('-').parse().unwrap();
        if from == 4 && count.fetch_add(1, Ordering::SeqCst) == 0 {
            return reply(wire, "503 Busy", "", b"");
        }
        let last = (from + 3).min(9);
        let part = format!("Content-Range: bytes {from}-{last}/10\r\n");
        reply(wire, "206 x", &part, &b"0123456789"[from..=last])
    });
    assert_eq!(read(local().source(&url(&server, "/a"))).unwrap(), b"0123456789");
    assert_eq!(server.heard.lock().unwrap().len(), 4);
}

#[test]
fn a_link_for_a_short_time_is_asked_for_anew() {
    let count = AtomicUsize::new(0);
    let server = serve(None, move |request, wire: &mut dyn Wire| {
        let how = Manner { cut: Some(1_000_000), ..Manner::default() };
        let (first, now) = (request.starts_with("GET /a.ova"), count.load(Ordering::SeqCst));
        if first {
            let to = format!("Location: /signed/{}\r\n", count.fetch_add(1, Ordering::SeqCst) + 1);
            return reply(wire, "302 Found", &to, b"");
        }
        let is_now = request.starts_with(&format!("GET /signed/{now} "));
        let used = header(request, "range") != Some("bytes=0-") && now == 1;
        match is_now && !used {
            true => send(request, wire, &data(), &how, 0),
            false => reply(wire, "403 Forbidden", "", b""),
        }
    });
    assert!(read(local().source(&url(&server, "/a.ova"))).unwrap() == data());
    let heard = server.heard.lock().unwrap();
    let asked: Vec<&str> = heard.iter().map(|it| it.split(' ').nth(1).unwrap()).collect();
    let wanted = ["/a.ova", "/signed/1", "/signed/1", "/a.ova", "/signed/2", "/signed/2"];
    assert_eq!(asked, wanted);
}

#[test]
fn a_hung_server_lets_go_when_the_call_is_cancelled() {
    // In the middle of a file, and before its first byte.
    for begins in [true, false] {
        let (hung, waits) = channel();
        let server = serve(None, move |_, wire: &mut dyn Wire| {
            if begins {
                let head = b"HTTP/1.1 206 x\r\nContent-Range: bytes 0-99/100\r\nContent-Length: 100\r\n\r\n1234";
                wire.write_all(head).unwrap();
                wire.flush().unwrap();
            }
            hung.send(()).unwrap();
            thread::sleep(Duration::from_secs(60));
            false
        });
        let (fleet, metrics, files) = (Fleet::new(Vec::new()), Arc::new(Metrics::new()), local());
        let call = Call::new(Rights::ReadOnly);
        let canceller = call.cancel().clone();
        let (level, wanted) = (Level::Admin, None);
        let ctx = Ctx {
            fleet: &fleet,
            files: &files,
            metrics: &metrics,
            audit: &Audit::new(Sink::Nowhere, false),
            call,
            consoles: &jumpvisor::serial::hub::Hub::default(),
            who: &jumpvisor::auth::principal::Principal::local("ryan"),
            needs: jumpvisor::tools::Level::Read,
            level,
            wanted,
            cap: 60_000,
        };
        thread::spawn(move || {
            waits.recv().unwrap();
            thread::sleep(Duration::from_millis(100));
            canceller.cancel();
        });
        let error = refused(read(ctx.source(&url(&server, "/a.ova"))));
        assert_eq!(error.kind(), Kind::Cancelled, "{error}");
        assert!(error.to_string().contains("/a.ova`: reading was cancelled"), "{error}");
        // Neither goes on, nor begins again.
        let late = refused(ctx.source(&url(&server, "/a.ova")));
        assert_eq!((late.kind(), server.dials()), (Kind::Cancelled, 1));
    }
}

#[test]
fn a_look_tells_what_a_hypervisor_will_find() {
    let server = share(data(), Manner::default());
    let first = serve(None, {
        let to = format!("Location: {}\r\n", url(&server, "/b.ova"));
        move |_, wire| reply(wire, "302 Found", &to, b"")
    });
    let named = Url::parse(&url(&first, "/a.ova")).unwrap();
    let look = local().look(&named, &Stop::default()).unwrap();
    assert_eq!(look.url.whole().reveal(), url(&server, "/b.ova"));
    assert_eq!((look.size, look.ranges, look.thumbprint), (Some(2_800_004), true, None));
}

#[test]
fn paths_and_what_is_neither() {
    let folder = std::env::temp_dir().join(format!("jv-sources-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("a:b#c?.ova").display().to_string();
    std::fs::write(&path, "text").unwrap();
    assert_eq!(read(local().source(&path)).unwrap(), b"text");
    std::fs::remove_dir_all(folder).unwrap();
    for (text, kind, said) in [
        ("ftp://h/x", Kind::Usage, "`ftp://` cannot be fetched from"),
        ("file:///etc/passwd", Kind::Usage, "path of a file on this machine"),
        ("vi://root@h/x", Kind::Usage, "`vi://` cannot"),
        ("http://", Kind::Usage, "names no host"),
        ("-", Kind::Usage, "`jumpvisor call` alone can read"),
        ("no such:file", Kind::NotFound, "`no such:file` cannot be opened"),
    ] {
        let error = refused(local().source(text));
        assert_eq!(error.kind(), kind, "{text}");
        assert!(error.to_string().contains(said), "{error}");
    }
    let error = refused(Files::anywhere().source("http://files.lab/x"));
    assert_eq!(error.kind(), Kind::Denied);
}
