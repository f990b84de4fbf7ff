//! The tools themselves, with files of this machine and a host that drinks what it gets.

use std::sync::Arc;

use jumpvisor::ova::manifest::Algorithm;
use jumpvisor::text::json;
use jumpvisor::tools::offer::Offer;
use jumpvisor::tools::run::{Caller, Gate, Outcome};

use crate::fleet;
use crate::made::{Cellar, Folder, Seen, archive, data, descriptor, manifest, member};

struct Lab {
    gate: Arc<Gate>,
    cellar: Cellar,
}

impl Lab {
    fn new() -> Lab {
        let cellar = Cellar::default();
        let (gate, _) = fleet::gate_with(Offer::everything(), Some(Box::new(cellar.clone())));
        Lab { gate, cellar }
    }

    fn call(&self, tool: &str, arguments: &str) -> Result<String, String> {
        let Ok(json::Value::Object(given)) = json::parse(arguments) else { panic!("{arguments}") };
        match self.gate.call(tool, given, Caller::local("tester")) {
            Outcome::Answer(shown) => Ok(shown.text),
            Outcome::Asks { question, .. } => panic!("{question}"),
            Outcome::Failed { error, .. } => Err(error.to_string()),
            Outcome::Unknown(error) => panic!("{error}"),
        }
    }

    fn seen(&self) -> Seen {
        self.cellar.0.lock().unwrap().clone()
    }
}

const SYSTEM: &str = r#"<EulaSection><License>
  You must agree to all of this.
  And to this.</License></EulaSection>
 <ProductSection class="guestinfo"><Product>Edge</Product><Vendor>Acme</Vendor><Version>1.2</Version>
  <Property key="hostname" type="string" userConfigurable="true" value="" qualifiers="MinLen(1)"><Label>Name</Label></Property>
  <Property key="admin_password" type="string" userConfigurable="true" password="true" value="changeme"/>
  <Property key="ssh" type="boolean" userConfigurable="true" value="false"/>
  <Property key="build" type="string" value="77"/></ProductSection>"#;

fn parts() -> Vec<(String, Vec<u8>)> {
    let (name, text) = descriptor(&[r#"id="f1" href="a disk%231.vmdk" size="9000""#], SYSTEM);
    let options = "<DeploymentOptionSection><Configuration id=\"small\"/><Configuration id=\"large\" default=\"true\"/></DeploymentOptionSection><VirtualSystem";
    let text = String::from_utf8(text).unwrap().replacen("<VirtualSystem", options, 1);
    vec![member(&name, text), member("a disk#1.vmdk", data(9_000, 1))]
}

fn quoted(text: &str) -> String {
    json::quote(text)
}

const GOOD: &str = r#""vm_name":"edge01","accept_licenses":true,"properties":{"hostname":"web","admin_password":"hunter22","ssh":true}"#;

#[test]
fn an_ova_arrives_whole_with_its_settings() {
    let (lab, folder, parts) = (Lab::new(), Folder::new("ova"), parts());
    let mut members = parts.clone();
    members.push(member("edge.mf", manifest(Algorithm::Sha256, &parts.iter().collect::<Vec<_>>())));
    let path = quoted(&folder.put("edge.ova", &archive(&members)));
    let more = r#""network":"LAN","network_map":"Data=Storage net","deployment_option":"small""#;
    let said = lab.call("deploy_ova", &format!("{{\"ova_path\":{path},{GOOD},{more}}}")).unwrap();
    assert_eq!(said, "edge01: 2 files compared with the manifest `edge.mf`");
    let seen = lab.seen();
    assert_eq!(seen.files[0], ("a disk%231.vmdk".to_owned(), data(9_000, 1)));
    assert_eq!((seen.name.as_str(), seen.option.as_deref()), ("edge01", Some("small")));
    assert_eq!(seen.networks, [("Data".to_owned(), "Storage net".to_owned())]);
    assert_eq!((seen.network.as_deref(), seen.one_pass), (Some("LAN"), false));
    let settings: Vec<(&str, &str, bool)> =
        seen.settings.iter().map(|it| (it.key.as_str(), it.value.as_str(), it.given)).collect();
    let wanted = [
        ("guestinfo.hostname", "web", true),
        ("guestinfo.admin_password", "hunter22", true),
        ("guestinfo.ssh", "True", true),
        ("guestinfo.build", "77", false),
    ];
    assert_eq!(settings, wanted);
}

#[test]
fn a_dry_run_says_what_is_asked_and_no_password() {
    let (lab, folder) = (Lab::new(), Folder::new("dry"));
    let path = quoted(&folder.put("edge.ova", &archive(&parts())));
    let given = GOOD.replace("\"accept_licenses\":true,", "");
    let dry = format!("{{\"ova_path\":{path},{given},\"dry_run\":true}}");
    let said = lab.call("deploy_ova", &dry).unwrap();
    let told: Vec<&str> = said.lines().skip(1).collect();
    let path = folder.path().display();
    let wanted = [
        &format!("- `{path}/edge.ova` (Acme Edge 1.2): 1 file, 9.0 kB, stored nowhere on the way"),
        "- there is no manifest to compare the files with",
        "- deployment option `large`, its default",
        "- properties: guestinfo.hostname=web, guestinfo.admin_password=***, guestinfo.ssh=True, 1 by default",
        "- the VM is made",
        "- but not before 1 licence is accepted: pass accept_licenses=true once you have read",
        "- licence: You must agree to all of this.",
        "  And to this.",
    ];
    assert_eq!(told, wanted);
    let said = lab.call("deploy_ova", &dry.replace("\"dry_run\":true", "\"dry_run\":false"));
    assert!(said.unwrap_err().contains("1 licence must be accepted first. Read with dry_run=true"));
    assert!(lab.seen().files.is_empty());
}

#[test]
fn what_is_asked_wrongly_is_told_before_anything_is_made() {
    let (lab, folder) = (Lab::new(), Folder::new("wrong"));
    let path = folder.put("edge.ova", &archive(&parts()));
    let ovf = folder.put("bare/edge.ovf", &parts()[0].1);
    let short = folder.put("short.ova", &archive(&parts()[..1]));
    let call = |tool: &str, key: &str, path: &str, more: &str| {
        let path = quoted(path);
        let said = lab.call(tool, &format!("{{\"{key}\":{path},\"vm_name\":\"x\",{more}}}"));
        said.expect_err("it was taken")
    };
    let good = r#""accept_licenses":true,"properties":{"hostname":"web"}"#;
    let with = |more: &str| format!("{good},{more}");
    for (more, said) in [
        (r#""properties":{}"#.to_owned(), "the appliance needs properties: guestinfo.hostname"),
        (r#""properties":{"build":"1"}"#.to_owned(), "`guestinfo.build` is not for users to set"),
        (with(r#""deployment_option":"tiny""#), "no deployment option `tiny`. It has small, large"),
        (with(r#""network_map":{"x":["y"]}"#), "`x` in `network_map` must be a text"),
        (with(r#""iso_datastore":"x""#), "`iso_datastore` is given without `iso_path`"),
        (with(r#""mode":"pull""#), "mode=pull is for URLs"),
    ] {
        let found = call("deploy_ova", "ova_path", &path, &more);
        assert!(found.contains(said), "{found} instead of {said}");
    }
    for (tool, key, path, said) in [
        ("deploy_ova", "ova_path", &ovf, "is a descriptor (.ovf), not an OVA. deploy_ovf"),
        ("deploy_ovf", "ovf_path", &path, "is an archive, not a descriptor (.ovf). deploy_ova"),
        ("deploy_ova", "ova_path", &short, "lists `a disk%231.vmdk`, which is not in the archive"),
        ("deploy_ovf", "ovf_path", &ovf, "lists `a disk%231.vmdk`, which is not beside it"),
        ("deploy_ova", "ova_path", &format!("{path}x"), "cannot be opened: No such file"),
    ] {
        let found = call(tool, key, path, good);
        assert!(found.contains(said), "{found} instead of {said}");
    }
    assert!(lab.seen().files.is_empty());
}

#[test]
fn a_descriptor_is_deployed_with_what_lies_beside_it() {
    let (lab, folder, parts) = (Lab::new(), Folder::new("ovf"), parts());
    let path = quoted(&folder.put("my folder/edge.ovf", &parts[0].1));
    folder.put("my folder/a disk#1.vmdk", &parts[1].1);
    let call = format!("{{\"ovf_path\":{path},{GOOD}}}");
    let said = lab.call("deploy_ovf", &call).unwrap();
    assert_eq!(said, "edge01: there is no manifest, so nothing was compared with it");
    assert_eq!(lab.seen().files[0].1, data(9_000, 1));
    let mf = manifest(Algorithm::Sha1, &parts.iter().collect::<Vec<_>>());
    folder.put("my folder/edge.mf", &mf);
    let said = lab.call("deploy_ovf", &call).unwrap();
    assert_eq!(said, "edge01: 2 files compared with the manifest `edge.mf`");
    folder.put("my folder/a disk#1.vmdk", &data(9_000, 2));
    let said = lab.call("deploy_ovf", &call).unwrap_err();
    assert!(said.contains("`a disk#1.vmdk` is not what the manifest says"), "{said}");
    // Nothing above the folder, however it is written.
    for bad in ["../x.vmdk", "/etc/passwd", "%2e%2e/x.vmdk", "a/../../x"] {
        let text = String::from_utf8(parts[0].1.clone()).unwrap();
        folder.put("my folder/edge.ovf", text.replace("a disk%231.vmdk", bad).as_bytes());
        let said =
            lab.call("deploy_ovf", &call.replace("\"vm_name\"", "\"verify\":false,\"vm_name\""));
        let said = said.unwrap_err();
        assert!(
            said.contains("must lie beside it or below") || said.contains("not what"),
            "{said}"
        );
    }
}

#[test]
fn an_appliance_is_looked_into() {
    let (lab, folder) = (Lab::new(), Folder::new("look"));
    let path = quoted(&folder.put("edge.ova", &archive(&parts())));
    let said = lab.call("inspect_ova", &format!("{{\"ova_path\":{path}}}")).unwrap();
    for line in [
        "format: ova",
        "product: Edge",
        "disks:",
        "- file a disk%231.vmdk, file_bytes 9000, id d-f1, size_gb 1",
        "- key guestinfo.admin_password, default ***, type string",
        "- key guestinfo.hostname, default -, label Name, required true, type string",
        "licence_count: 1",
        "licences: You must agree to all of this.…",
        "manifest: none",
        "signed: false",
    ] {
        let sorted = |line: &str| {
            let mut parts: Vec<&str> = line.trim_start_matches("- ").split(", ").collect();
            parts.sort_unstable();
            parts.join(", ")
        };
        assert!(said.lines().any(|it| sorted(it) == sorted(line)), "{line} is not in\n{said}");
    }
    assert!(!said.contains("changeme") && !said.contains("guestinfo.build"));
    let detailed = format!("{{\"ova_path\":{path},\"response_format\":\"detailed\"}}");
    let said = lab.call("inspect_ova", &detailed).unwrap();
    assert!(said.contains("And to this.") && said.contains("guestinfo.build"), "{said}");
    assert!(!said.contains("changeme"));
    let path = quoted(&folder.put("edge.ovf", &parts()[0].1));
    let said = lab.call("inspect_ova", &format!("{{\"ova_path\":{path}}}")).unwrap();
    assert!(said.contains("format: ovf") && said.contains("file_bytes 9000"), "{said}");
}

/// The simulated host has networks, and this tool changes nothing.
#[cfg(feature = "demo")]
#[test]
fn the_networks_of_both_sides_are_shown() {
    let folder = Folder::new("networks");
    let run = |text: &str| {
        let path = folder.put("edge.ovf", text.as_bytes());
        let command = std::process::Command::new(env!("CARGO_BIN_EXE_jumpvisor"))
            .args(["--demo", "call", "list_ovf_networks", &format!("ovf_path={path}")])
            .output()
            .unwrap();
        let said = String::from_utf8(command.stdout).unwrap();
        said.split_once(": ").unwrap().1.trim_end().to_owned()
    };
    let text = String::from_utf8(parts()[0].1.clone()).unwrap();
    let rest = "The server has `DMZ`, `Lab`, `VM Network`\n\
        network=NAME takes one for all, network_map={\"FROM\":\"TO\"} for each";
    assert_eq!(
        run(&text.replace("\"Data\"", "\"Lab\"")),
        format!(
            "it wants 2 networks; without more words they become\n\
             - `Management` -> ?, it must be said which\n- `Lab` -> `Lab`, of the same name\n{rest}"
        )
    );
    let one = run(&text.replace("<Network name=\"Data\"/>", ""));
    let line = "- `Management` -> `VM Network`, since it is the only one; or what is configured";
    assert_eq!(one.lines().nth(1), Some(line));
}
