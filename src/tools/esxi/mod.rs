//! Tools that only vSphere has: the one shelf that may know its client.

pub mod api;
pub mod cluster;
pub mod console;
pub mod facts;
pub mod folder;
pub mod host;
pub mod inventory;
pub mod journal;
pub mod maintenance;
pub mod monitor;
pub mod move_vm;
pub mod pool;
pub mod serial;
pub mod service;
pub mod tag;
pub mod template;
pub mod vm;

use crate::error::{Error, Kind, Result};
use crate::hv::Host;
use crate::tools::ctx::Ctx;
use crate::vsphere::Vsphere;

/// The vSphere client behind the server that is meant.
pub fn client<'a>(ctx: &Ctx<'a>) -> Result<&'a Vsphere> {
    let server = ctx.server()?;
    of(server.host.as_ref()).map_err(|error| error.during(format!("`{}`", server.name)))
}

/// The same behind any server, for lists of all.
pub fn of(host: &dyn Host) -> Result<&Vsphere> {
    host.as_any().downcast_ref::<Vsphere>().ok_or_else(|| {
        Error::new(Kind::Unsupported, "this is not a VMware server")
            .hint("list_servers shows the kind of each")
    })
}
