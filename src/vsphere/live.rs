//! A session that is open: the cookie, the agreed version, the service content, the views, the
//! catalogue of counters.
//!
//! Views belong to the session and die with it, which is why they are kept here and nowhere else.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::error::{Error, Kind, Result};
use crate::text::secret::Secret;
use crate::text::sorted::Sorted;
use crate::vim::value::{Object, Ref};
use crate::vim::version::Version;
use crate::vsphere::counters::Counter;
use crate::vsphere::guest_ops::Managers;

/// An open session.
pub struct Live {
    /// `vmware_soap_session="…"`, verbatim with its quotes; `None` before login.
    pub cookie: Option<Secret>,
    pub version: Version,
    pub content: Object,
    /// Whom guest operations are asked of, once it was asked for.
    pub guest_managers: OnceLock<Managers>,
    views: Mutex<Sorted<&'static [&'static str], Ref>>,
    counters: OnceLock<Arc<Vec<Counter>>>,
}

impl Live {
    pub fn new(cookie: Option<Secret>, version: Version, content: Object) -> Live {
        let (guest_managers, views) = (OnceLock::new(), Mutex::default());
        Live { cookie, version, content, guest_managers, views, counters: OnceLock::new() }
    }

    /// One of the server's managers; what a standalone ESXi lacks is Unsupported.
    pub fn manager(&self, name: &str) -> Result<Ref> {
        self.content.reference(name).cloned().ok_or_else(|| {
            Error::new(Kind::Unsupported, format!("this server has no {name}"))
                .hint("It needs vCenter")
        })
    }

    /// vCenter, not a standalone host.
    pub fn is_vcenter(&self) -> bool {
        self.content.text("about.apiType") == Some("VirtualCenter")
    }

    /// Product, version and build, as the vendor writes it.
    pub fn product(&self) -> String {
        self.content.text("about.fullName").unwrap_or("VMware server").to_owned()
    }

    /// The performance counters of the server, once they were read.
    pub fn catalogue(&self) -> Option<Arc<Vec<Counter>>> {
        self.counters.get().cloned()
    }

    /// Keeps them; those that were kept first.
    pub fn keep_catalogue(&self, counters: Arc<Vec<Counter>>) -> Arc<Vec<Counter>> {
        self.counters.get_or_init(|| counters).clone()
    }

    /// The view of these types, made by `make` the first time.
    pub fn view(
        &self,
        types: &'static [&'static str],
        make: impl FnOnce() -> Result<Ref>,
    ) -> Result<Ref> {
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = views.get(types) {
            return Ok(view.clone());
        }
        let view = make()?;
        views.insert(types, view.clone());
        Ok(view)
    }
}
