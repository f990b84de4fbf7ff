//! What a handler gets: the server that is meant, the call, and the families that the server has.
//!
//! It knows `hv` only. Asking for a family that the server lacks is an error that names servers
//! which have it.

use std::sync::Arc;

use crate::error::{Error, Kind, Result};
use crate::hv::Host;
use crate::hv::call::Call;
use crate::hv::fleet::{Fleet, Server};
use crate::hv::lifecycle::Lifecycle;
use crate::hv::machines::Machines;
use crate::hv::places::Places;
use crate::hv::power::Power;
use crate::hv::snapshots::Snapshots;
use crate::metrics::Metrics;
use crate::tools::reply::Record;

/// One call of one tool.
pub struct Ctx<'a> {
    pub fleet: &'a Fleet,
    pub metrics: &'a Arc<Metrics>,
    pub call: Call,
    /// The `host` argument as given.
    pub wanted: Option<String>,
}

impl<'a> Ctx<'a> {
    /// True when a list of all servers is asked for.
    pub fn all_servers(&self) -> bool {
        self.wanted.as_deref() == Some("all") && self.fleet.server(Some("all")).is_err()
    }

    /// The server that is meant.
    pub fn server(&self) -> Result<&'a Server> {
        if self.all_servers() {
            return Err(Error::usage("`host=all` is only for lists")
                .hint("Name one server; list_servers shows them"));
        }
        self.fleet.server(self.wanted.as_deref())
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

    fn family<T: ?Sized>(
        &self,
        what: &str,
        pick: fn(&'a dyn Host) -> Option<&'a T>,
    ) -> Result<&'a T> {
        let server = self.server()?;
        pick(server.host.as_ref()).ok_or_else(|| {
            let able: Vec<&str> = self
                .fleet
                .servers()
                .iter()
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

    /// Rows of the server that is meant; with `host=all` of all, asked side by side, each row with
    /// its server, and a server that fails as one row with its error.
    pub fn gather(
        &self,
        list: impl Fn(&'a dyn Host, &Call) -> Result<Vec<Record>> + Sync,
    ) -> Result<Vec<Record>> {
        if !self.all_servers() {
            return list(self.host()?, &self.call);
        }
        let one = |server: &'a Server| match list(server.host.as_ref(), &self.call) {
            Ok(rows) => rows.into_iter().map(|row| row.led_by("host", &server.name)).collect(),
            Err(error) => {
                vec![Record::new().text("host", &server.name).text("error", error.to_string())]
            }
        };
        Ok(std::thread::scope(|scope| {
            let running: Vec<_> = self
                .fleet
                .servers()
                .iter()
                .map(|server| scope.spawn(move || one(server)))
                .collect();
            running.into_iter().flat_map(|it| it.join().unwrap_or_default()).collect()
        }))
    }

    /// The same call with another [`Call`], such as one that may change things.
    pub fn with(&self, call: Call) -> Ctx<'a> {
        Ctx { fleet: self.fleet, metrics: self.metrics, call, wanted: self.wanted.clone() }
    }
}
