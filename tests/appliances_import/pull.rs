//! A host that fetches the files by itself, from a small web server.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use jumpvisor::hv::appliances::Pull;
use jumpvisor::hv::call::Cancel;
use jumpvisor::ova::write::{END, header};

use crate::rig::{Files, Room, changing, descriptor, files, setting, wanted};

/// A server of these files, with or without parts of them; it ends with the process.
struct Web {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

fn serve(files: Vec<(String, Vec<u8>)>, parts: bool) -> Web {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    std::thread::spawn(move || {
        for line in listener.incoming() {
            let (mut line, mut head, mut piece) = (line.unwrap(), Vec::new(), [0; 1024]);
            while !head.ends_with(b"\r\n\r\n") {
                match line.read(&mut piece) {
                    Ok(got) if got > 0 => head.extend_from_slice(&piece[..got]),
                    _ => break,
                }
            }
            let head = String::from_utf8(head).unwrap();
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            log.lock().unwrap().push(path.clone());
            let range = head.split("Range: bytes=").nth(1).unwrap().split("\r\n").next().unwrap();
            let (from, to) = range.split_once('-').unwrap();
            let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
            let Some((_, data)) = files.iter().find(|it| it.0 == path) else {
                let _ = line.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
                continue;
            };
            let (status, body) = match parts {
                true => (206, &data[from.min(data.len())..data.len().min(to + 1)]),
                false => (200, &data[..]),
            };
            let head = format!(
                "HTTP/1.1 {status} OK\r\nContent-Length: {}\r\nContent-Range: bytes {from}-{to}/{}\r\n\r\n",
                body.len(),
                data.len()
            );
            let _ = line.write_all(head.as_bytes()).and_then(|()| line.write_all(body));
        }
    });
    Web { port, asked }
}

fn archive() -> Vec<u8> {
    let mut all = Vec::new();
    let descriptor = ("edge.ovf", descriptor(&[]).into_bytes());
    for (name, data) in [descriptor].into_iter().chain(files()) {
        all.extend_from_slice(&header(name, data.len() as u64, 0).unwrap());
        all.extend_from_slice(&data);
        all.resize(all.len().next_multiple_of(512), 0);
    }
    all.extend_from_slice(&END);
    all
}

fn from(web: &Web, path: &str, archive: bool) -> Option<Pull> {
    let url = format!("http://127.0.0.1:{}{path}", web.port);
    Some(Pull { url, archive, thumbprint: None })
}

#[test]
fn the_host_fetches_members_of_an_archive_and_files_of_a_folder() {
    let mut all = vec![("/a.ova?t=1".to_owned(), archive())];
    all.extend(files().into_iter().map(|(name, data)| (format!("/dir%201/{name}"), data)));
    let web = serve(all, true);
    for (path, archive) in [("/a.ova?t=1", true), ("/dir%201/", false)] {
        let room = Room::new(false, "[]");
        let (text, settings) = (descriptor(&[]), [setting("hostname", "x", true)]);
        let mut what = wanted(&text, "edge");
        what.settings = &settings;
        what.pull = from(&web, path, archive);
        let files = Files::default();
        let finished = files.finished.clone();
        let done = room.import(&what, files).unwrap().join("; ");
        assert!(done.contains("the host has fetched the files from http://127.0.0.1:"), "{done}");
        assert!(done.contains("OVF environment") && !done.contains("?t=1"), "{done}");
        // Nothing came through here, and nothing was read for a manifest.
        assert!(!*finished.lock().unwrap());
        let heard = room.heard();
        assert!(!heard.iter().any(|it| it.path.contains("nfc/")));
        let pulled = heard.iter().find(|it| it.soap == "HttpNfcLeasePullFromUrls_Task").unwrap();
        assert_eq!(pulled.text.contains("<memberName>b.vmdk</memberName>"), archive);
        assert_eq!(pulled.text.matches("<create>true</create>").count(), 1);
        assert!(room.machine("edge").is_some());
    }
    assert!(web.asked.lock().unwrap().iter().any(|it| it == "/dir%201/b.vmdk"));
}

#[test]
fn what_the_host_cannot_fetch_leaves_nothing() {
    let text = descriptor(&[]);
    let mut short = archive();
    short.truncate(short.len() - 2000);
    let web = |data| serve(vec![("/a.ova".to_owned(), data)], true);
    let (none, whole, cut) =
        (serve(Vec::new(), true), serve(vec![("/a.ova".to_owned(), archive())], false), web(short));
    for (web, cause) in [
        (&none, "answered 404 (HttpFault"),
        (&whole, "does not give parts and lengths"),
        (&cut, "The transfer"),
    ] {
        let room = Room::new(false, "[]");
        let mut what = wanted(&text, "edge");
        what.pull = from(web, "/a.ova", true);
        let error = room.import(&what, Files::default()).err().unwrap().to_string();
        for part in ["it was not made: the host could not fetch the files: ", cause, "mode=push"] {
            assert!(error.contains(part), "`{part}` is not in {error}");
        }
        assert!(room.machine("edge").is_none());
    }
    let unable = &[("<pullModeSupported>true<", "<pullModeSupported>false<")];
    let room = Room::with(false, "[]", unable, None);
    let mut what = wanted(&text, "edge");
    what.pull = from(&none, "/a.ova", true);
    let error = room.import(&what, Files::default()).err().unwrap().to_string();
    assert!(error.contains("does not fetch files by itself. Pass mode=push"), "{error}");
    assert!(room.machine("edge").is_none());
}

#[test]
fn who_cancels_while_the_host_fetches_leaves_nothing() {
    // Somebody who takes the connection and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let web = Web { port: listener.local_addr().unwrap().port(), asked: Arc::default() };
    let room = Room::new(false, "[]");
    let text = descriptor(&[]);
    let mut what = wanted(&text, "edge");
    what.pull = from(&web, "/a.ova", true);
    let cancel = Cancel::default();
    let call = changing().cancelled_by(cancel.clone());
    let waiter = std::thread::spawn(move || {
        let line = listener.accept();
        cancel.cancel();
        line
    });
    let error = room.import_by(&call, &what, Files::default()).err().unwrap();
    assert_eq!(error.kind(), jumpvisor::error::Kind::Cancelled, "{error}");
    assert!(waiter.join().is_ok() && room.machine("edge").is_none());
}
