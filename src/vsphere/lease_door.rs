//! Where the files of a lease go or come from: this server, or an ESXi behind it.
//!
//! Surprising: the lease itself says by which certificate an ESXi is to be known, and some say
//! nothing; then what vCenter knows of that host counts.

use crate::error::Result;
use crate::hv::call::Call;
use crate::vim::value::{Object, Ref};
use crate::vsphere::door::Door;
use crate::vsphere::lease::Lease;
use crate::vsphere::props::Select;
use crate::vsphere::tree::unescaped;
use crate::vsphere::{Elsewhere, Vsphere, door, props};
use crate::web::tls::{Trust, trust_of};

/// Opens the door of one `HttpNfcLeaseDeviceUrl` of a lease.
pub fn open<'a>(it: &'a Vsphere, call: &Call, lease: &Lease, file: &Object) -> Result<Door<'a>> {
    let url = file.text("url").unwrap_or_default();
    door::open(it, call, url, &mut |host, port| {
        let named = file.get("sslCertificate").and_then(door::certificate);
        let named = named.or_else(|| file.text("sslThumbprint").and_then(trust_of));
        let trust = match named {
            Some(trust) => trust,
            None => known(it, call, lease, host)?.unwrap_or(Trust::System),
        };
        Ok(Elsewhere { host: host.to_owned(), port, trust })
    })
}

/// What vCenter knows of a host of this name, or else of the one that the machine is on.
fn known(it: &Vsphere, call: &Call, lease: &Lease, named: &str) -> Result<Option<Trust>> {
    const CERTIFICATE: &str = "config.certificate";
    const THUMBPRINT: &str = "summary.config.sslThumbprint";
    let session = &it.session;
    let mut found: Option<Ref> = None;
    let select = [Select { kind: "HostSystem", paths: &["name"] }];
    props::all(session, call, &["HostSystem"], &select, |row| {
        let name = row.text("name").map(unescaped).unwrap_or_default();
        if found.is_none() && name.eq_ignore_ascii_case(named) {
            found = Some(row.at);
        }
    })?;
    if found.is_none()
        && let Some(machine) = lease.machine()
    {
        let row = props::one(session, call, machine, "VirtualMachine", &["runtime.host"])?;
        found = row.reference("runtime.host").cloned();
    }
    let Some(host) = found else { return Ok(None) };
    let row = props::one(session, call, &host, "HostSystem", &[CERTIFICATE, THUMBPRINT])?;
    let certificate = row.get(CERTIFICATE).and_then(door::certificate);
    Ok(certificate.or_else(|| row.text(THUMBPRINT).and_then(trust_of)))
}
