//! What a handler gets: the server that is meant, the call, and the families that the server has.
//!
//! It knows `hv` only. Asking for a family that the server lacks is an error that names servers
//! which have it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use crate::audit::Audit;
use crate::auth::principal::Principal;
use crate::error::{Error, Kind, Result};
use crate::files::Files;
use crate::files::fetch::Look;
use crate::files::source::Source;
use crate::files::stop::Stop;
use crate::files::url::Url;
use crate::hv::Host;
use crate::hv::appliances::Appliances;
use crate::hv::call::{Call, Hooked};
use crate::hv::console::Console;
use crate::hv::disks::Disks;
use crate::hv::fleet::{Fleet, Server};
use crate::hv::guest::Guest;
use crate::hv::lifecycle::Lifecycle;
use crate::hv::machines::Machines;
use crate::hv::nics::Nics;
use crate::hv::places::Places;
use crate::hv::power::Power;
use crate::hv::snapshots::Snapshots;
use crate::hv::stores::Stores;
use crate::metrics::Metrics;
use crate::serial::hub::Hub;
use crate::threads::side_by_side;
use crate::tools::Level;
use crate::tools::reply::Record;
use crate::tools::rights;
use crate::tools::serial_line::Desk;

/// What lists things of one server.
type List<'a, 'l, T> = dyn Fn(&'a dyn Host, &Call) -> Result<Vec<T>> + Sync + 'l;

/// What servers answered to a list.
pub struct Gathered<'a, T> {
    /// Each with its server where all were asked.
    pub found: Vec<(Option<&'a str>, T)>,
    /// A row for each server that could not be asked.
    pub unasked: Vec<Record>,
}

/// One call of one tool.
pub struct Ctx<'a> {
    pub fleet: &'a Fleet,
    /// The only way to this machine's own files, to URLs and to standard input.
    pub files: &'a Files,
    pub metrics: &'a Arc<Metrics>,
    pub audit: &'a Audit,
    /// Serial consoles that this process holds.
    pub consoles: &'a Hub,
    pub call: Call,
    /// Who calls.
    pub who: &'a Principal,
    /// The most that the caller may do on the server that is meant; the gate has compared it with the
    /// tool's own level.
    pub level: Level,
    /// The tool's own level: only servers where the caller has it are asked.
    pub needs: Level,
    /// The `host` argument as given.
    pub wanted: Option<String>,
    /// Bytes of the answer, for what is better cut by who knows it than left out.
    pub cap: usize,
}

impl<'a> Ctx<'a> {
    /// True when a list of all servers is asked for.
    pub fn all_servers(&self) -> bool {
        rights::means_all(self.fleet, self.who, self.wanted.as_deref())
    }

    /// The servers of which the caller may know.
    pub fn servers(&self) -> impl Iterator<Item = &'a Server> + use<'a> {
        rights::servers(self.fleet, self.who, self.needs)
    }

    /// The server that is meant.
    pub fn server(&self) -> Result<&'a Server> {
        if self.all_servers() {
            return Err(Error::usage("`host=all` is only for lists")
                .hint("Name one server; list_servers shows them"));
        }
        rights::server(self.fleet, self.who, self.wanted.as_deref())
    }

    /// The host behind it.
    pub fn host(&self) -> Result<&'a dyn Host> {
        Ok(self.server()?.host.as_ref())
    }

    pub fn machines(&self) -> Result<&'a dyn Machines> {
        Ok(self.host()?.machines())
    }

    pub fn places(&self) -> Result<&'a dyn Places> {
        Ok(self.host()?.places())
    }

    pub fn power(&self) -> Result<&'a dyn Power> {
        self.family("power switches", |host| host.power())
    }

    pub fn snapshots(&self) -> Result<&'a dyn Snapshots> {
        self.family("snapshots", |host| host.snapshots())
    }

    pub fn lifecycle(&self) -> Result<&'a dyn Lifecycle> {
        self.family("making and changing machines", |host| host.lifecycle())
    }

    pub fn disks(&self) -> Result<&'a dyn Disks> {
        self.family("virtual disks", |host| host.disks())
    }

    pub fn nics(&self) -> Result<&'a dyn Nics> {
        self.family("network cards", |host| host.nics())
    }

    pub fn guest(&self) -> Result<&'a dyn Guest> {
        self.family("an agent in the guest", |host| host.guest())
    }

    pub fn console(&self) -> Result<&'a dyn Console> {
        self.family("screens and keyboards", |host| host.console())
    }

    pub fn stores(&self) -> Result<&'a dyn Stores> {
        self.family("files on datastores", |host| host.stores())
    }

    /// Where consoles of the server that is meant are asked for.
    pub fn desk(&self) -> Result<Desk<'_>> {
        Ok(Desk { server: self.server()?, consoles: self.consoles, call: &self.call })
    }

    pub fn appliances(&self) -> Result<&'a dyn Appliances> {
        self.family("appliances", |host| host.appliances())
    }

    /// Opens what the caller named to be read: a URL, `-`, or a file of this machine. Cancelling the
    /// call ends opening and reading it, even where a server hangs.
    pub fn source(&self, text: &str) -> Result<Source<'static>> {
        self.call.check()?;
        let (stop, hooked) = self.stop();
        Ok(self.files.source_until(text, &stop)?.keeping(hooked))
    }

    /// Looks at a URL that the hypervisor is to fetch by itself.
    pub fn look(&self, url: &Url) -> Result<Look> {
        self.call.check()?;
        let (stop, _hooked) = self.stop();
        self.files.look(url, &stop)
    }

    /// Stopped when the call is cancelled, as long as its guard lives.
    fn stop(&self) -> (Stop, Hooked) {
        let stop = Stop::default();
        let hook = stop.clone();
        (stop, self.call.cancel().on_cancel(move || hook.stop()))
    }

    fn family<T: ?Sized>(
        &self,
        what: &str,
        pick: fn(&'a dyn Host) -> Option<&'a T>,
    ) -> Result<&'a T> {
        let server = self.server()?;
        pick(server.host.as_ref()).ok_or_else(|| {
            let able: Vec<&str> = self
                .servers()
                .filter(|it| pick(it.host.as_ref()).is_some())
                .map(|it| it.name.as_str())
                .collect();
            Error::new(Kind::Unsupported, format!("`{}` has no {what}", server.name)).hint(
                match able.len() {
                    0 => "No configured server has".to_owned(),
                    _ => format!("These have: {}", able.join(", ")),
                },
            )
        })
    }

    /// What the server that is meant has; with `host=all` what all have, asked side by side, each
    /// with its server, and a row for each server that could not be asked.
    pub fn gather<T: Send>(&self, list: &List<'a, '_, T>) -> Result<Gathered<'a, T>> {
        let mut gathered = Gathered { found: Vec::new(), unasked: Vec::new() };
        if !self.all_servers() {
            let found = list(self.host()?, &self.call)?;
            gathered.found = found.into_iter().map(|it| (None, it)).collect();
            return Ok(gathered);
        }
        let defect = || Err(Error::bug("a defect of jumpvisor ended this"));
        let answers: Vec<_> = self.servers().map(|it| (it, Mutex::new(None))).collect();
        side_by_side(answers.len(), &|at| {
            let Some((server, answer)) = answers.get(at) else { return };
            let asked = AssertUnwindSafe(|| list(server.host.as_ref(), &self.call));
            let asked = catch_unwind(asked).unwrap_or_else(|_| defect());
            *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked);
        });
        for (server, answer) in answers {
            let name = server.name.as_str();
            let answer = answer.into_inner().unwrap_or_else(PoisonError::into_inner);
            match answer.unwrap_or_else(defect) {
                Ok(found) => gathered.found.extend(found.into_iter().map(|it| (Some(name), it))),
                Err(error) => gathered
                    .unasked
                    .push(Record::new().text("host", name).text("error", error.to_string())),
            }
        }
        Ok(gathered)
    }

    /// The same call with another [`Call`], such as one that may change things.
    pub fn with(&self, call: Call) -> Ctx<'a> {
        Ctx {
            fleet: self.fleet,
            files: self.files,
            metrics: self.metrics,
            audit: self.audit,
            consoles: self.consoles,
            who: self.who,
            call,
            level: self.level,
            needs: self.needs,
            wanted: self.wanted.clone(),
            cap: self.cap,
        }
    }
}
