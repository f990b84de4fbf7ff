//! The settings of an appliance as its guest reads them: the OVF environment.
//!
//! vCenter makes it whenever it powers such a machine on; a standalone host keeps no settings and
//! makes none, so it is written there once, before the first start. Source: DSP8027, and what a
//! vCenter writes. Surprising: the guest gets all settings, also those that nobody chose.

use crate::error::Result;
use crate::hv::appliances::Setting;
use crate::text::xml::{Writer, XSI};
use crate::vim::value::Object;

/// Where a guest's tools look for it.
pub const KEY: &str = "guestinfo.ovfEnv";

/// The environment of a machine of this id on a server of which `about` tells.
pub fn text(about: Option<&Object>, settings: &[Setting], id: &str) -> Result<String> {
    const SPACE: &str = "http://schemas.dmtf.org/ovf/environment/1";
    let mut out = Writer::new();
    out.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let attributes = [
        ("xmlns", SPACE),
        ("xmlns:xsi", XSI),
        ("xmlns:oe", SPACE),
        ("xmlns:ve", "http://www.vmware.com/schema/ovfenv"),
        ("oe:id", ""),
        ("ve:esxId", id),
    ];
    out.open("Environment", &attributes)?;
    out.open("PlatformSection", &[])?;
    let known = |name: &str| about.and_then(|it| it.text(name)).unwrap_or_default();
    for (name, value) in [
        ("Kind", known("name")),
        ("Version", known("version")),
        ("Vendor", known("vendor")),
        ("Locale", "en"),
    ] {
        out.open(name, &[])?;
        out.text(value)?;
        out.close(name);
    }
    out.close("PlatformSection");
    out.open("PropertySection", &[])?;
    for it in settings {
        out.open("Property", &[("oe:key", &it.key), ("oe:value", &it.value)])?;
        out.close("Property");
    }
    out.close("PropertySection");
    out.close("Environment");
    Ok(out.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::xml;

    #[test]
    fn what_is_put_in_is_read_out() {
        let nasty = "a<b>&\"c'\n\t ü ]]>";
        let setting = |key: &str, value: &str, given| Setting {
            key: key.to_owned(),
            value: value.to_owned(),
            given,
        };
        let all = [setting("guestinfo.hostname", nasty, true), setting("dns", "", false)];
        let about = Object::new("AboutInfo").with("name", "VMware ESXi").with("vendor", "V & Co");
        let text = text(Some(&about), &all, "12").unwrap();
        let document = xml::parse(&text).unwrap();
        let space = "http://schemas.dmtf.org/ovf/environment/1";
        let found: Vec<(&str, &str)> = document
            .descendants()
            .filter(|it| it.has_tag_name((space, "Property")))
            .filter_map(|it| Some((it.attribute((space, "key"))?, it.attribute((space, "value"))?)))
            .collect();
        assert_eq!(found, [("guestinfo.hostname", nasty), ("dns", "")]);
        let id = ("http://www.vmware.com/schema/ovfenv", "esxId");
        assert_eq!(document.root_element().attribute(id), Some("12"));
        assert!(text.contains("<Vendor>V &amp; Co</Vendor>"), "{text}");
        assert!(super::text(None, &[setting("a", "\u{7}", true)], "").is_err());
    }
}
