//! What depends on the process: whom it trusts, and what is led to its standard input.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use jumpvisor::error::Kind;
use jumpvisor::files::stop::Stop;
use jumpvisor::files::url::Url;

use crate::server::{Identity, TempFile, der, hello, reply, serve};
use crate::share::{data, files, local, read, refused, url};

/// This program once more, for one of its tests.
fn again(test: &str, variables: &[(&str, &str)], stdin: Stdio) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env("JV_AGAIN", "1");
    command.envs(variables.iter().copied()).env_remove("SSL_CERT_DIR");
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn is_again() -> bool {
    std::env::var_os("JV_AGAIN").is_some()
}

#[track_caller]
fn passed(child: Child) {
    let ran = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&ran.stdout) + String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn only_the_systems_authorities_are_trusted() {
    if !is_again() {
        let good = Identity::signed(&["localhost", "127.0.0.1"], |_| ());
        let [ca, cert, key] =
            [&good.authority, &good.certificate, &good.key].map(|it| TempFile::new(it));
        let [ca, cert, key] = [&ca, &cert, &key].map(|it| it.0.to_str().unwrap());
        let variables = [("SSL_CERT_FILE", ca), ("JV_CERT", cert), ("JV_KEY", key)];
        return passed(again(
            "process::only_the_systems_authorities_are_trusted",
            &variables,
            Stdio::null(),
        ));
    }
    let text = |name| std::fs::read_to_string(std::env::var_os(name).unwrap()).unwrap();
    let authority = text("SSL_CERT_FILE");
    let good = Identity { certificate: text("JV_CERT"), key: text("JV_KEY"), authority };
    let server = serve(Some(good.config()), hello);
    let at = |host: &str, port: u16| format!("https://{host}:{port}/a.ova");
    assert_eq!(
        read(files(&["127.0.0.1"]).source(&at("localhost", server.port))).unwrap(),
        b"hello"
    );

    let look = local().look(&Url::parse(&at("127.0.0.1", server.port)).unwrap(), &Stop::default());
    let print =
        ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &der(&good.certificate));
    assert_eq!(look.unwrap().thumbprint.unwrap(), print.as_ref());

    // A stranger, and the right one under another name.
    let stranger = serve(Some(Identity::signed(&["localhost"], |_| ()).config()), hello);
    let other = files(&["127.0.0.1", "127.0.0.2"]);
    for (host, port, said) in [
        ("localhost", stranger.port, "is signed by nobody who is trusted here"),
        ("127.0.0.2", 0, "is not for `127.0.0.2`"),
    ] {
        let alias = crate::server::serve_at("127.0.0.2:0", Some(good.config()), hello);
        let port = if port == 0 { alias.port } else { port };
        let error = refused(other.source(&at(host, port))).to_string();
        assert!(error.contains(said) && error.contains("SSL_CERT_FILE"), "{error}");
        assert!(!error.contains("_INSECURE"), "{error}");
    }
    // Plain http is a step down that no redirect may take.
    let plain = serve(None, hello);
    let to = format!("Location: {}\r\n", url(&plain, "/a.ova"));
    let down = serve(Some(good.config()), move |_, wire| reply(wire, "302 Found", &to, b""));
    let error = refused(local().source(&at("127.0.0.1", down.port))).to_string();
    assert!(error.contains("leads from https to plain http"), "{error}");
    assert_eq!(plain.dials(), 0);
}

#[test]
fn standard_input_is_read_once() {
    if !is_again() {
        let name = "process::standard_input_is_read_once";
        let mut child = again(name, &[("JV_SIZE", "none")], Stdio::piped());
        let mut pipe = child.stdin.take().unwrap();
        for _ in 0..3 {
            pipe.write_all(b"piece").unwrap();
            thread::sleep(Duration::from_millis(250));
        }
        drop(pipe);
        passed(child);
        let file = TempFile::new("piecepiecepiece");
        let stdin = std::fs::File::open(&file.0).unwrap();
        return passed(again(name, &[("JV_SIZE", "15")], stdin.into()));
    }
    let size = std::env::var("JV_SIZE").unwrap().parse().ok();
    let files = local();
    files.allow_stdin();
    let mut source = files.source("-").unwrap();
    assert_eq!((source.size(), source.can_seek()), (size, size.is_some()));
    let mut all = String::new();
    source.read_to_string(&mut all).unwrap();
    assert_eq!(all, "piecepiecepiece");
    let error = refused(files.source("-"));
    assert!(error.to_string().contains("and once"), "{error}");
}

#[test]
fn a_pipe_on_which_nothing_comes_can_be_stopped() {
    if !is_again() {
        let name = "process::a_pipe_on_which_nothing_comes_can_be_stopped";
        let mut child = again(name, &[], Stdio::piped());
        // Open for as long as the other waits.
        let pipe = child.stdin.take();
        passed(child);
        return drop(pipe);
    }
    let files = local();
    files.allow_stdin();
    let source = files.source("-").unwrap();
    let stop = source.stopper();
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        stop.stop();
    });
    assert_eq!(refused(read(Ok(source))).kind(), Kind::Cancelled);
}

#[test]
fn a_server_of_somebody_elses() {
    // Python's own gives whole files only, and speaks HTTP/1.0.
    let folder = std::env::temp_dir().join(format!("jv-python-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("sub")).unwrap();
    std::fs::write(folder.join("sub/a +1.ova"), data()).unwrap();
    let mut command = Command::new("python3");
    command.args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]).current_dir(&folder);
    let mut python = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(python.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port = line.split(" port ").nth(1).unwrap().split(' ').next().unwrap();
    let at = |path: &str| format!("http://127.0.0.1:{port}/{path}");
    let source = local().source(&at("sub/a +1.ova")).unwrap();
    assert_eq!((source.size(), source.can_seek()), (Some(2_800_004), false));
    assert!(read(Ok(source)).unwrap() == data());
    assert_eq!(refused(local().source(&at("sub/b"))).kind(), Kind::NotFound);
    // A folder without its slash is led to the one with it.
    assert!(read(local().source(&at("sub"))).unwrap().starts_with(b"<!DOCTYPE"));
    python.kill().unwrap();
    python.wait().unwrap();
    std::fs::remove_dir_all(folder).unwrap();
}
