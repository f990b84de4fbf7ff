//! A property collector of one's own: the means to wait until something changes, disturbed by no
//! other wait.
//!
//! It is destroyed when dropped, with its filters; leaking one makes the server grow. Surprising:
//! that must also happen when the caller's time is up, so it is given a call without a bound.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::hv::call::{Call, Rights};
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::live::Live;
use crate::vsphere::session::Session;

/// A property collector that belongs to one wait.
pub struct Collector<'a> {
    session: &'a Arc<Session>,
    call: &'a Call,
    live: &'a Live,
    pub at: Ref,
}

impl<'a> Collector<'a> {
    pub fn new(session: &'a Arc<Session>, call: &'a Call, live: &'a Live) -> Result<Collector<'a>> {
        let parent = live.manager("propertyCollector")?;
        let made =
            session.invoke(call, live, &parent, "CreatePropertyCollector", &Object::args())?;
        let at = made.as_ref().and_then(Value::as_reference).cloned().ok_or_else(|| {
            Error::new(Kind::Remote, "CreatePropertyCollector: the server gave no collector")
        })?;
        Ok(Collector { session, call, live, at })
    }

    /// Watches a property of each of these objects; one object may come several times.
    pub fn filter(&self, watched: &[(&Ref, &'static str)]) -> Result<()> {
        let (mut properties, mut objects) = (Vec::new(), Vec::new());
        for (at, (object, _)) in watched.iter().enumerate() {
            let same = |(other, _): &&(&Ref, &'static str)| other == object;
            if watched[..at].iter().any(|it| same(&it)) {
                continue;
            }
            let paths: Vec<Value> =
                watched.iter().filter(same).map(|(_, path)| Value::from(*path)).collect();
            properties.push(
                Object::new("PropertySpec")
                    .with("type", object.kind.as_ref())
                    .with("all", false)
                    .with("pathSet", paths),
            );
            objects.push(Object::new("ObjectSpec").with("obj", *object));
        }
        let spec = Object::new("PropertyFilterSpec")
            .with("propSet", properties)
            .with("objectSet", objects)
            .with("reportMissingObjectsInResults", true);
        let args = Object::args().with("spec", spec).with("partialUpdates", false);
        self.session.invoke(self.call, self.live, &self.at, "CreateFilter", &args)?;
        Ok(())
    }

    /// What changed since `version`; `None` when nothing did within `seconds`.
    pub fn updates(&self, version: &str, seconds: u64) -> Result<Option<Object>> {
        let options = Object::new("WaitOptions").with("maxWaitSeconds", seconds as i64);
        let args = Object::args().with("version", version).with("options", options);
        let silence = Some(Duration::from_secs(seconds + 30));
        let method = "WaitForUpdatesEx";
        let answer = self.session.ask(self.call, self.live, &self.at, method, &args, silence)?;
        Ok(answer.and_then(Value::into_object))
    }

    /// Ends a wait on a collector, from another thread than the one that waits.
    pub fn end_wait(session: &Arc<Session>, at: &Ref) {
        let call = Call::new(Rights::ReadOnly).within(Duration::from_secs(30));
        let end = "CancelWaitForUpdates";
        if let Err(error) = session.call(&call, at, end, &Object::args()) {
            crate::logging::debug!("{end}: {error}");
        }
    }

    /// Of a vCenter, not of a standalone host.
    pub fn is_vcenter(&self) -> bool {
        self.live.is_vcenter()
    }
}

impl Drop for Collector<'_> {
    fn drop(&mut self) {
        let end = "DestroyPropertyCollector";
        if let Err(error) =
            self.session.invoke(self.call, self.live, &self.at, end, &Object::args())
        {
            crate::logging::debug!("{end}: {error}");
        }
    }
}
