//! All consoles of this process, by place, and the one thread that moves their bytes.
//!
//! It must not know which hypervisor a machine is on: what it cannot know it asks [`Outside`].
//! Surprising: there is no thread and no socket before the first console; and everything ends with
//! the last handle, socket files too.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use smol::channel::Sender;
use smol::{Executor, Task, Timer};

use crate::error::{Error, Kind, Result};
use crate::serial::concentrator;
use crate::serial::desk::Desk;
use crate::serial::dial;
use crate::serial::people;
use crate::serial::record::Record;
use crate::threads::begin;
use crate::web::serve::identity::Identity as Certificate;
use crate::web::serve::listen;
use crate::web::serve::listen::Listener;

pub use crate::serial::console::{Console, Note, Read, State, Status};
pub(crate) use crate::serial::outside::Sitting;
pub use crate::serial::outside::{Caller, Outside, Session};

/// Consoles of one process.
const MOST: usize = 512;

/// What holds for all consoles.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bytes that are kept of each console.
    pub ring_bytes: usize,
    /// Folder of the consoles' logs; none are kept without.
    pub log_dir: Option<PathBuf>,
    /// Folder of a Unix socket for each console; nobody attaches without.
    pub sockets: Option<PathBuf>,
    /// The concentrator as hosts dial it, such as `telnet://10.0.0.5:13370`.
    pub advertised: Option<String>,
    /// Nobody types at a socket; people look on.
    pub mute: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        let ring_bytes = crate::serial::ring::BYTES;
        Settings { ring_bytes, log_dir: None, sockets: None, advertised: None, mute: false }
    }
}

/// Which console; stays the same through moves and reboots.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    pub server: String,
    /// The id within the server.
    pub machine: String,
    /// Its label, such as `Serial port 1`.
    pub port: String,
}

/// What is known of a console.
#[derive(Clone, Debug)]
pub struct About {
    pub place: Place,
    /// The machine's name for people.
    pub name: String,
    /// As [`uuid`](crate::serial::suboption::uuid) spells them: BIOS, instance.
    pub uuids: Vec<String>,
}

/// How a console is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// The host listens.
    Dial { host: String, port: u16, telnet: bool, tls: bool },
    /// The machine dials the concentrator.
    Dialled,
    /// Another process holds the console and has this socket for people.
    Socket(PathBuf),
}

/// All consoles; cheap to clone.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

/// What tasks know the hub as, weakly: it ends with its handles, not with its tasks.
pub(crate) struct Inner {
    pub settings: Settings,
    pub outside: Arc<dyn Outside>,
    pub weak: Weak<Inner>,
    pub desk: Mutex<Desk>,
    all: Mutex<Vec<(Console, Option<Arc<Record>>)>>,
    thread: Mutex<Option<Thread>>,
    numbers: AtomicU64,
    /// Servers on which something was changed that nobody has looked at yet.
    touched: Mutex<Vec<String>>,
}

struct Thread {
    executor: Arc<Executor<'static>>,
    /// Dropped to end it.
    stop: Sender<()>,
    handle: JoinHandle<()>,
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is left of a name in a file's name.
fn plain(text: &str) -> String {
    let kept = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | '_' | '-');
    text.chars().map(|it| if kept(it) { it } else { '_' }).take(24).collect()
}

/// The name of a console's files, without its ending. With the machine's id, since two machines may
/// have one name, and with a sign between that no part holds: who opened another machine's socket by
/// mistake would type there. Of a server or port that is not wholly in the name, a digest is.
fn file_name(about: &About) -> String {
    let place = &about.place;
    let port = place.port.strip_prefix("Serial port ").unwrap_or(&place.port);
    let parts = [&place.server, &about.name, &place.machine, port];
    let [server, name, id, number] = parts.map(plain);
    let mut text = format!("{server}+{name}+{id}");
    if number != "1" {
        text.push_str(&format!("+{number}"));
    }
    if [server, id, number] != [parts[0], parts[2], parts[3]] {
        let of = [parts[0], parts[2], parts[3]].join("\0");
        // FNV-1a, which stays the same from one version of the program to the next.
        let digest = of
            .bytes()
            .fold(0x811c_9dc5_u32, |sum, it| (sum ^ u32::from(it)).wrapping_mul(0x0100_0193));
        text.push_str(&format!("+{digest:08x}"));
    }
    text
}

/// Where a console's socket is, in the folder of all.
pub fn socket_path(folder: &Path, about: &About) -> PathBuf {
    folder.join(format!("{}.sock", file_name(about)))
}

impl Default for Hub {
    fn default() -> Hub {
        Hub::new(Settings::default())
    }
}

impl Hub {
    /// Consoles that are dialled without TLS. No thread, no socket before the first console.
    pub fn new(settings: Settings) -> Hub {
        Hub::with(settings, Arc::new(crate::serial::outside::Alone))
    }

    /// The same, knowing whom to ask.
    pub fn with(settings: Settings, outside: Arc<dyn Outside>) -> Hub {
        Hub(Arc::new_cyclic(|weak| Inner {
            settings,
            outside,
            weak: Weak::clone(weak),
            desk: Mutex::default(),
            all: Mutex::default(),
            thread: Mutex::default(),
            numbers: AtomicU64::new(1),
            touched: Mutex::default(),
        }))
    }

    /// The socket of another process that holds this console; none where nobody answers there.
    pub fn holder(&self, about: &About) -> Option<PathBuf> {
        let path = socket_path(self.0.settings.sockets.as_deref()?, about);
        let ours = self.find(&about.place).is_some_and(|it| it.now().socket.is_some());
        (!ours && listen::who_listens(&path).is_some()).then_some(path)
    }

    /// Finds a console or begins it. Another way replaces the line and keeps the transcript; a line
    /// that is lost is dialled now.
    pub fn open(&self, about: &About, way: Way) -> Result<Console> {
        let console = self.keep(about, way)?;
        let mut now = console.now();
        now.hurry = now.state == State::Lost;
        console.tell(now, true);
        Ok(console)
    }

    /// The same, and a line that is lost rests as long as it would.
    pub fn keep(&self, about: &About, way: Way) -> Result<Console> {
        let attached = matches!(way, Way::Socket(_));
        let console = self.0.console(about, !attached)?;
        let mut now = console.now();
        now.about = about.clone();
        if now.way.as_ref() == Some(&way) {
            return Ok({
                drop(now);
                console
            });
        }
        drop(now);
        let owner = self.0.number();
        if way == Way::Dialled {
            console.owned_by(owner, Some(way), State::Waiting, None);
            return Ok(console);
        }
        console.owned_by(owner, Some(way.clone()), State::Dialling, None);
        let outside = Arc::clone(&self.0.outside);
        let line = self.0.spawn(dial::keep(console.clone(), owner, way, outside));
        let mut now = console.now();
        if now.owner == owner {
            now.line = Some(line);
        }
        drop(now);
        Ok(console)
    }

    /// A console without a line, which there is no use in dialling; why. People may attach and wait.
    pub fn rest(&self, about: &About, why: &str) -> Result<Console> {
        let console = self.0.console(about, true)?;
        let mut now = console.now();
        now.about = about.clone();
        let rests = now.way.is_none() && now.why.as_deref() == Some(why);
        drop(now);
        if !rests {
            console.owned_by(self.0.number(), None, State::Waiting, Some(why.to_owned()));
        }
        Ok(console)
    }

    /// How a console is reached, if it is there and is.
    pub fn way(&self, place: &Place) -> Option<Way> {
        self.find(place)?.now().way.clone()
    }

    /// The concentrator as hosts dial it.
    pub fn advertised(&self) -> Option<&str> {
        self.0.settings.advertised.as_deref()
    }

    /// Something was changed on a server: its ports may be others now. The caller bounds the names.
    pub fn touch(&self, server: &str) {
        let mut touched = locked(&self.0.touched);
        if !touched.iter().any(|it| it == server) {
            touched.push(server.to_owned());
        }
    }

    /// Whether that was since this was asked last.
    pub fn was_touched(&self, server: &str) -> bool {
        let mut touched = locked(&self.0.touched);
        let found = touched.iter().position(|it| it == server);
        found.map(|at| touched.swap_remove(at)).is_some()
    }

    /// Does this again and again on the thread that moves the bytes, which shows that it lives.
    pub fn each(&self, rest: Duration, mut then: impl FnMut() + Send + 'static) {
        let task = self.0.spawn(async move {
            loop {
                then();
                Timer::after(rest).await;
            }
        });
        locked(&self.0.desk).tasks.push(task);
    }

    pub fn find(&self, place: &Place) -> Option<Console> {
        let all = locked(&self.0.all);
        all.iter().map(|it| &it.0).find(|it| it.place() == place).cloned()
    }

    pub fn all(&self) -> Vec<Status> {
        locked(&self.0.all).iter().map(|it| it.0.status()).collect()
    }

    /// Ends one console: its port is no more.
    pub fn forget(&self, place: &Place) {
        let mut all = locked(&self.0.all);
        let gone = all.iter().position(|it| it.0.place() == place).map(|at| all.swap_remove(at));
        drop(all);
        if let Some((console, record)) = gone {
            finish(&console, record.as_deref());
        }
    }

    /// Lets people reach a console by `telnet` at an address of this machine; where that is.
    pub fn lend(&self, console: &Console, address: SocketAddr) -> Result<SocketAddr> {
        if !address.ip().is_loopback() {
            return Err(Error::usage(format!(
                "`{address}` is not an address of this machine alone"
            ))
            .hint("Whoever reaches it may type; take 127.0.0.1 or [::1]"));
        }
        let listener = Listener::open(&listen::Place::Tcp(address), "serial", 0)?;
        let address = place_of(&listener)?;
        let task = self.0.spawn(people::serve(self.0.weak.clone(), console.clone(), listener));
        let mut now = console.now();
        now.tcp = Some(address);
        now.tasks.push(task);
        Ok(address)
    }

    /// Listens for machines that dial in, in TLS where there is a certificate; where that is.
    pub fn listen(
        &self,
        address: SocketAddr,
        certificate: Option<Arc<Certificate>>,
    ) -> Result<SocketAddr> {
        self.listen_at(Listener::open(&listen::Place::Tcp(address), "serial", 0)?, certificate)
    }

    /// The same, where it is listened already.
    pub fn listen_at(
        &self,
        listener: Listener,
        certificate: Option<Arc<Certificate>>,
    ) -> Result<SocketAddr> {
        let address = place_of(&listener)?;
        let task = self.0.spawn(concentrator::serve(self.0.weak.clone(), listener, certificate));
        locked(&self.0.desk).tasks.push(task);
        Ok(address)
    }

    /// Ends every console, the listeners and the thread, and waits until their sockets are gone.
    pub fn close(&self) {
        self.0.close();
    }
}

fn place_of(listener: &Listener) -> Result<SocketAddr> {
    match listener.place() {
        Some(listen::Place::Tcp(it)) => Ok(*it),
        _ => Err(Error::usage("the concentrator listens on TCP only")
            .hint("ListenStream= of its socket unit is an address and a port")),
    }
}

fn finish(console: &Console, record: Option<&Record>) {
    console.end();
    if let Some(record) = record {
        // At most as often as the transcript is long.
        while record.catch_up(console) > 0 {}
    }
}

impl Inner {
    /// A number that no other line of this process has.
    pub fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Lets the thread run this, which is begun if there is none. Dropping the task ends it.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> Task<()> {
        self.run(Box::pin(future))
    }

    /// For all alike, since each sort of future would bring an executor's code of its own.
    fn run(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Task<()> {
        let mut thread = locked(&self.thread);
        if let Some(it) = &*thread {
            return it.executor.spawn(future);
        }
        let executor = Arc::new(Executor::new());
        let task = executor.spawn(future);
        let (stop, stopped) = smol::channel::bounded::<()>(1);
        let running = Arc::clone(&executor);
        let run = move || {
            let _ = smol::block_on(running.run(stopped.recv()));
        };
        match begin("serial", Box::new(run)) {
            Ok(handle) => *thread = Some(Thread { executor, stop, handle }),
            Err(why) => log::error!("there is no thread for serial consoles: {why}"),
        }
        task
    }

    /// The console of this place, which is begun if there is none; with a socket for people.
    pub fn console(&self, about: &About, lent: bool) -> Result<Console> {
        let mut all = locked(&self.all);
        if let Some((console, _)) = all.iter().find(|it| *it.0.place() == about.place) {
            let console = console.clone();
            drop(all);
            let now = console.now();
            let renamed = now.about.name != about.name && now.socket.is_some();
            drop(now);
            // Others look for it by the name that it has now; its log keeps the one that it had.
            if let Some(folder) = self.settings.sockets.as_deref().filter(|_| renamed) {
                self.lend(&console, socket_path(folder, about));
            }
            return Ok(console);
        }
        if all.len() >= MOST {
            return Err(Error::new(Kind::Busy, format!("{MOST} consoles are open already"))
                .hint("Another one is opened when a port is removed or the program starts again"));
        }
        let console = Console::new(about.clone(), self.settings.ring_bytes);
        if let Some(folder) = self.settings.sockets.as_deref().filter(|_| lent) {
            self.lend(&console, socket_path(folder, about));
        }
        let record = self.settings.log_dir.as_deref().filter(|_| lent).map(|folder| {
            let record = Record::new(folder.join(format!("{}.log", file_name(about))));
            let task = self.spawn(Arc::clone(&record).keep(console.clone()));
            console.now().tasks.push(task);
            record
        });
        all.push((console.clone(), record));
        Ok(console)
    }

    /// A console without a socket is better than none.
    fn lend(&self, console: &Console, path: PathBuf) {
        // Who may write to a file of mode 0600 may type: this account alone.
        match Listener::open(&listen::Place::Unix(path.clone()), "serial", 0o600) {
            Ok(listener) => {
                let task = self.spawn(people::serve(self.weak.clone(), console.clone(), listener));
                let mut now = console.now();
                now.socket = Some(path);
                let before = now.door.replace(task);
                drop(now);
                // Behind the lock: its file goes with it.
                drop(before);
            }
            Err(why) => log::warn!("nobody can attach to a console by socket: {why}"),
        }
    }

    /// Those whose line has this number.
    pub fn owned_by(&self, number: u64) -> Option<Console> {
        let all = locked(&self.all);
        all.iter().map(|it| &it.0).find(|it| it.now().owner == number).cloned()
    }

    fn close(&self) {
        let all = std::mem::take(&mut *locked(&self.all));
        drop(std::mem::take(&mut locked(&self.desk).tasks));
        for (console, _) in &all {
            console.end();
        }
        if let Some(thread) = locked(&self.thread).take() {
            drop(thread.stop);
            // The last handle may have been a task's.
            if thread.handle.thread().id() != std::thread::current().id() {
                let _ = thread.handle.join();
            }
            // And with it what its tasks hold.
            drop(thread.executor);
        }
        for (console, record) in &all {
            finish(console, record.as_deref());
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}
