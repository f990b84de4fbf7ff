//! A machine as an OVF descriptor, in the server's words.
//!
//! Only the server knows what of a machine an appliance can hold, so the text goes on as it comes.
//! Surprising: what cannot be described is no failed call; it is a list in the answer.

use crate::error::{Error, Kind, Result, quoted};
use crate::hv::call::Call;
use crate::hv::model::MachineRef;
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::machines::reference;
use crate::vsphere::{Vsphere, decode};

/// A descriptor, and what the server says to it.
pub struct Described {
    pub text: String,
    /// One sentence each.
    pub warnings: Vec<String>,
}

/// The machine as a descriptor, with these `OvfFile`s in it; a draft without any.
pub fn describe(
    it: &Vsphere,
    call: &Call,
    at: &MachineRef,
    files: Vec<Object>,
    snapshot: Option<&Ref>,
) -> Result<Described> {
    let live = it.session.live(call)?;
    let manager = live.manager("ovfManager")?;
    let params = Object::new("OvfCreateDescriptorParams")
        .with_some("ovfFiles", Some(files).filter(|it| !it.is_empty()))
        .with("name", at.name.as_str())
        .with_some("snapshot", snapshot);
    let args = Object::args().with("obj", reference(at)).with("cdp", params);
    let answer = it.session.call(call, &manager, "CreateDescriptor", &args)?;
    let empty = Object::new("OvfCreateDescriptorResult");
    let answer = answer.as_ref().and_then(Value::as_object).unwrap_or(&empty);
    let refused: Vec<String> = answer.objects("error").map(said).collect();
    if !refused.is_empty() {
        let text = format!("the server cannot describe `{}` as an appliance", at.name);
        return Err(Error::new(Kind::Unsupported, text)
            .listing(refused)
            .hint("Take away what it names, such as a device, and try again"));
    }
    let text = answer.text("ovfDescriptor").unwrap_or_default().to_owned();
    if text.trim().is_empty() {
        return Err(Error::new(Kind::Remote, "the server gave no descriptor"));
    }
    let warnings = answer.objects("warning").map(|it| format!("the server warns: {}", said(it)));
    Ok(Described { text, warnings: warnings.collect() })
}

/// A fault of a list in its own words.
fn said(fault: &Object) -> String {
    match fault.kind() {
        "LocalizedMethodFault" => {
            let it = decode::localized_fault(fault);
            match it.text.trim() {
                "" => it.name,
                text => quoted(text).trim_end_matches('.').to_owned(),
            }
        }
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_a_list_is_told_in_words() {
        let fault = |text: &str| {
            Object::new("LocalizedMethodFault")
                .with("fault", Object::new("OvfUnsupportedDeviceExport"))
                .with("localizedMessage", text)
        };
        assert_eq!(said(&fault("Device 'x' is not supported.")), "Device 'x' is not supported");
        assert_eq!(said(&fault("")), "OvfUnsupportedDeviceExport");
        assert_eq!(said(&Object::new("OvfExport")), "OvfExport");
    }
}
