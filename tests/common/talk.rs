//! A client in memory: writes lines to `mcp::stdio`, waits for what comes back.

use std::io::{BufReader, Read, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use jumpvisor::mcp::stdio::{Ended, Settings, Stdio, Stop};
use jumpvisor::text::json;
use jumpvisor::text::json::{Object, Value};
use jumpvisor::tools::offer::Offer;
use jumpvisor::tools::run::Gate;

use crate::fleet;
use crate::fleet::Stage;

/// The envelope of a modern request, as the first member of its parameters.
pub const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

const SOON: Duration = Duration::from_secs(10);

/// What the server wrote, line by line.
#[derive(Clone, Default)]
pub struct Sheet(Arc<(Mutex<Written>, Condvar)>);

#[derive(Default)]
struct Written {
    text: String,
    broken: bool,
}

impl Write for Sheet {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut written = self.0.0.lock().unwrap();
        if written.broken {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        written.text.push_str(std::str::from_utf8(bytes).unwrap());
        self.0.1.notify_all();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Sheet {
    /// Every message so far.
    pub fn messages(&self) -> Vec<Object> {
        let text = self.0.0.lock().unwrap().text.clone();
        assert!(text.is_empty() || text.ends_with('\n'), "half a line: {text}");
        let read = |line: &str| match json::parse(line) {
            Ok(Value::Object(message)) => message,
            _ => panic!("not a message: {line}"),
        };
        text.lines().map(read).collect()
    }

    fn find(&self, fits: impl Fn(&Object) -> bool) -> Option<Object> {
        let until = Instant::now() + SOON;
        loop {
            if let Some(found) = self.messages().into_iter().find(&fits) {
                return Some(found);
            }
            if Instant::now() > until {
                return None;
            }
            let written = self.0.0.lock().unwrap();
            drop(self.0.1.wait_timeout(written, Duration::from_millis(5)).unwrap());
        }
    }
}

/// Bytes from a channel; the end of input when the sender is dropped.
struct Pipe {
    from: Receiver<Vec<u8>>,
    left: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.left.is_empty() {
            self.left = self.from.recv().unwrap_or_default();
        }
        let count = self.left.len().min(into.len());
        into[..count].copy_from_slice(&self.left[..count]);
        self.left.drain(..count);
        Ok(count)
    }
}

/// One connection with its server.
pub struct Client {
    input: Option<Sender<Vec<u8>>>,
    pub sheet: Sheet,
    pub stage: Arc<Stage>,
    pub stop: Stop,
    serving: Option<std::thread::JoinHandle<Ended>>,
}

/// A client of a server with these settings.
pub fn client(offer: Offer, settings: Settings) -> Client {
    client_with(offer, settings, |_| ())
}

/// The same with another gate.
pub fn client_with(offer: Offer, settings: Settings, change: impl FnOnce(&mut Gate)) -> Client {
    let (mut gate, stage) = fleet::gate(offer);
    change(Arc::get_mut(&mut gate).unwrap());
    let (input, from) = channel();
    let sheet = Sheet::default();
    let stdio = Stdio::new(gate, settings, sheet.clone());
    let stop = stdio.stopper();
    let pipe = BufReader::new(Pipe { from, left: Vec::new() });
    let serving = std::thread::spawn(move || stdio.serve(pipe));
    Client { input: Some(input), sheet, stage, stop, serving: Some(serving) }
}

/// A client of a server as it comes.
pub fn plain() -> Client {
    client(Offer::default(), Settings::default())
}

impl Client {
    pub fn send(&self, line: impl AsRef<[u8]>) {
        let mut bytes = line.as_ref().to_vec();
        bytes.push(b'\n');
        self.input.as_ref().unwrap().send(bytes).unwrap();
    }

    pub fn request(&self, id: &str, method: &str, params: &str) {
        self.send(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}}}}}"#
        ));
    }

    /// A call of a power tool on one machine.
    pub fn power_on(&self, id: &str, machine: &str, more: &str) {
        let params = format!(r#""name":"power_on","arguments":{{"name":"{machine}"}}{more}"#);
        self.request(id, "tools/call", &params);
    }

    pub fn cancel(&self, id: &str) {
        self.send(format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#
        ));
    }

    /// The answer to this id.
    pub fn answer(&self, id: &str) -> Object {
        let fits = |it: &Object| it.get("id").is_some_and(|found| json::write(found) == id);
        self.sheet.find(fits).unwrap_or_else(|| panic!("no answer to {id}"))
    }

    /// Asks, and returns the result.
    pub fn ask(&self, id: &str, method: &str, params: &str) -> Object {
        self.request(id, method, params);
        result(&self.answer(id))
    }

    /// Asks, and returns the code of the error.
    pub fn code(&self, id: &str, method: &str, params: &str) -> i64 {
        self.request(id, method, params);
        code(&self.answer(id))
    }

    /// True if nothing was answered to this id so far, all earlier lines being seen to.
    pub fn silent(&self, id: &str) -> bool {
        self.ask("\"sync\"", "ping", "");
        !self.sheet.messages().iter().any(|it| it.get("id").is_some_and(|it| json::write(it) == id))
    }

    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// From now on nobody reads what the server writes.
    pub fn break_output(&self) {
        self.sheet.0.0.lock().unwrap().broken = true;
    }

    /// Waits until the server has ended.
    pub fn ended(&mut self) -> Ended {
        let serving = self.serving.take().unwrap();
        let until = Instant::now() + SOON;
        while !serving.is_finished() {
            assert!(Instant::now() < until, "it does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
        serving.join().unwrap()
    }
}

/// The result of an answer.
pub fn result(answer: &Object) -> Object {
    let found = json::get_object(answer, "result");
    found.cloned().unwrap_or_else(|| panic!("no result: {}", json::write_object(answer)))
}

/// The error code of an answer.
pub fn code(answer: &Object) -> i64 {
    let error = json::get_object(answer, "error");
    let code = error.and_then(|error| error.get("code")).and_then(json::as_int);
    code.unwrap_or_else(|| panic!("no error: {}", json::write_object(answer)))
}

/// Waits until this holds.
pub fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
