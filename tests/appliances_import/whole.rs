//! Imports that succeed: what arrives, in which order, and what the machine is then.

use jumpvisor::hv::appliances::Provisioning;
use jumpvisor::hv::disks::Image;
use jumpvisor::hv::model::PowerState;
use jumpvisor::vim::value::Value;

use crate::rig::{Files, Heard, Room, descriptor, files, setting, wanted};

fn uploads(heard: &[Heard]) -> Vec<&Heard> {
    heard.iter().filter(|it| it.path.contains("nfc/")).collect()
}

fn calls(heard: &[Heard]) -> Vec<&str> {
    const KNOWN: &[&str] = &[
        "CreateImportSpec",
        "ImportVApp",
        "HttpNfcLeaseComplete",
        "HttpNfcLeaseAbort",
        "ReconfigVM_Task",
        "PowerOnVM_Task",
        "Destroy_Task",
    ];
    heard.iter().map(|it| it.soap.as_str()).filter(|it| KNOWN.contains(it)).collect()
}

#[test]
fn a_standalone_host_gets_every_byte_the_settings_and_the_start() {
    let room = Room::new(false, "[]");
    let text = format!("\u{feff}{}", descriptor(&["VM Network"]));
    let wants = ["VM Network".to_owned()];
    let settings = [setting("hostname", "a<b>&\"ü\"", true), setting("dns", "10.0.0.1", false)];
    let transports = ["com.vmware.guestInfo".to_owned()];
    let mut what = wanted(&text, "näme with 50% + #1/x");
    (what.wants, what.settings, what.transports) = (&wants, &settings, &transports);
    what.power_on = true;
    let done = room.import(&what, Files::of(files())).unwrap();
    assert!(done[0].starts_with("`näme with 50% + #1/x` is made, id "), "{done:?}");
    let sent: usize = files().iter().map(|it| it.1.len()).sum();
    assert!(done[1].starts_with("3 files sent, ") && sent > 100_000, "{done:?}");
    assert_eq!(
        done[2..],
        ["the manifest matches", "the settings are in the guest's OVF environment", "powered on"]
    );
    let heard = room.heard();
    let order = [
        "CreateImportSpec",
        "ImportVApp",
        "HttpNfcLeaseComplete",
        "ReconfigVM_Task",
        "PowerOnVM_Task",
    ];
    assert_eq!(calls(&heard), order);
    let uploads = uploads(&heard);
    for (upload, (name, data)) in uploads.iter().zip(files()) {
        assert!(upload.body == data, "{name} has arrived otherwise");
        assert_eq!((upload.whom, upload.length), ("own", Some(data.len() as u64)));
        assert!(!upload.headers.contains(&"cookie".to_owned()), "{:?}", upload.headers);
        let iso = name == "tools.iso";
        assert_eq!(upload.method, if iso { "PUT" } else { "POST" });
        assert_eq!(upload.headers.contains(&"overwrite".to_owned()), iso);
    }
    assert_eq!((uploads.len(), room.reached().len()), (3, 0));
    let name = "näme with 50% + #1/x";
    assert_eq!(room.machine(name).unwrap().power, PowerState::On);
    let extra = room.property(name, "config.extraConfig").unwrap();
    let env = extra.items().iter().find_map(|it| {
        let own = it.get("key").and_then(Value::as_text) == Some("guestinfo.ovfEnv");
        own.then(|| it.get("value").and_then(Value::as_text).unwrap().to_owned())
    });
    let env = env.expect("no OVF environment");
    let id = room.machine(name).unwrap().at.id;
    assert!(env.contains(&format!("ve:esxId=\"{id}\"")), "{env}");
    assert!(
        env.contains("<Property oe:key=\"hostname\" oe:value=\"a&lt;b&gt;&amp;&quot;ü&quot;\">")
            && env.contains("<Property oe:key=\"dns\" oe:value=\"10.0.0.1\">")
            && env.contains("<Kind>VMware ESXi</Kind>"),
        "{env}"
    );
}

#[test]
fn a_vcenter_sends_to_its_host_by_the_certificate_it_knows_and_brings_the_settings_itself() {
    let room = Room::new(true, "[]");
    let text = descriptor(&["VM Network"]);
    let wants = ["VM Network".to_owned()];
    let settings = [setting("hostname", "edge", true), setting("dns", "10.0.0.1", false)];
    let mut what = wanted(&text, "edge");
    (what.wants, what.settings, what.power_on) = (&wants, &settings, true);
    let done = room.import(&what, Files::of(files())).unwrap();
    assert!(!done.iter().any(|it| it.contains("OVF environment")), "{done:?}");
    let heard = room.heard();
    let order = ["CreateImportSpec", "ImportVApp", "HttpNfcLeaseComplete", "PowerOnVM_Task"];
    assert_eq!(calls(&heard), order);
    for (upload, (name, data)) in uploads(&heard).iter().zip(files()) {
        assert_eq!(upload.whom, "elsewhere", "{name}");
        assert!(upload.body == data, "{name} has arrived otherwise");
        assert!(upload.path.starts_with("/nfc/"), "{}", upload.path);
        assert!(!upload.headers.contains(&"cookie".to_owned()), "{:?}", upload.headers);
    }
    let reached = room.reached();
    assert_eq!(reached.len(), 3);
    assert!(reached[0].contains(".lab.example:443 Fingerprint("), "{reached:?}");
    // Only what was chosen is said; the rest is the descriptor's.
    let spec = heard.iter().find(|it| it.soap == "CreateImportSpec").unwrap();
    assert!(spec.text.contains("<propertyMapping><key>hostname</key><value>edge</value>"));
    assert!(!spec.text.contains("<key>dns</key>"));
    let kept = room.property("edge", "config.vAppConfig.property").unwrap();
    let value = |id: &str| {
        let own = kept.items().iter().find(|it| it.get("id").and_then(Value::as_text) == Some(id));
        own.and_then(|it| it.get("value").or(it.get("defaultValue"))?.as_text().map(str::to_owned))
    };
    assert_eq!(value("hostname").as_deref(), Some("edge"));
    assert_eq!(value("dns").as_deref(), Some("10.0.0.1"));
}

#[test]
fn the_lease_may_say_by_which_digest_its_host_is_known() {
    const NONE: &str = "<sslThumbprint></sslThumbprint>";
    const SHA1: &str = "<sslThumbprint>01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14\
                        </sslThumbprint>";
    // From 9.0 on the certificate itself, of which SHA-256 is taken; this one is of `abc`.
    const WHOLE: &str = "<sslThumbprint></sslThumbprint><sslCertificate>\
                         -----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n\
                         </sslCertificate>";
    let one: crate::rig::Swaps = &[(NONE, SHA1)];
    let two: crate::rig::Swaps = &[(NONE, WHOLE)];
    for (swaps, wanted_by) in
        [(one, "Thumbprint([1, 2, 3, 4, 5, 6,"), (two, "Fingerprint([186, 120, 22, 191,")]
    {
        let room = Room::with(true, "[]", swaps, None);
        let text = descriptor(&[]);
        room.import(&wanted(&text, "edge"), Files::of(files())).unwrap();
        let reached = room.reached();
        assert!(reached.len() == 3 && reached[0].contains(wanted_by), "{reached:?}");
    }
}

#[test]
fn a_pipe_gives_its_files_in_its_own_order_and_without_sizes_they_go_in_chunks() {
    let room = Room::new(false, "[]");
    let text = descriptor(&[]);
    let mut back = files();
    back.reverse();
    back.insert(1, ("unknown.txt", vec![1; 100]));
    let mut what = wanted(&text, "piped");
    what.one_pass = true;
    let files_of = Files { sizeless: true, ..Files::of(back).piped() };
    room.import(&what, files_of).unwrap();
    let heard = room.heard();
    let found: Vec<(&str, Option<u64>, usize)> = uploads(&heard)
        .iter()
        .map(|it| (it.path.rsplit('/').next().unwrap(), it.length, it.body.len()))
        .collect();
    let sizes: Vec<usize> = files().iter().map(|it| it.1.len()).collect();
    assert_eq!(
        found,
        [
            ("file-2.iso", None, sizes[2]),
            ("disk-1.vmdk", None, sizes[1]),
            ("disk-0.vmdk", None, sizes[0])
        ]
    );
    assert!(room.machine("piped").is_some());
}

#[test]
fn an_image_is_put_into_a_drive_and_tried_first() {
    let room = Room::new(false, "[]");
    let text = descriptor(&[]);
    let mut what = wanted(&text, "cd");
    what.iso = Some(Image { path: "[nas01] iso/ubuntu-24.04.iso".into(), datastore: None });
    what.provisioning = Provisioning::Thick;
    let done = room.import(&what, Files::of(files())).unwrap().join("; ");
    // The drive that came with the appliance holds an image of its own, which stays.
    assert!(done.contains("a new CD/DVD drive at IDE 0:0 holds [nas01] iso/ubuntu"), "{done}");
    assert!(done.contains("CD/DVD drives come first"), "{done}");
    let detail = format!("{:?}", room.detail("cd"));
    assert!(detail.contains("tools.iso") && detail.contains("iso/ubuntu"), "{detail}");
    assert_eq!(room.machine("cd").unwrap().power, PowerState::Off);
}

#[test]
fn disks_that_build_on_others_are_asked_for_in_the_hosts_order() {
    let room = Room::new(false, "[]");
    // The simulated host takes no such disks; what reads the text does not know comments.
    let text = format!("{}<!-- <Disk parentRef='d1'/> -->", descriptor(&[]));
    let mut back = files();
    back.reverse();
    let asked = Files::of(back);
    let log = asked.asked.clone();
    room.import(&wanted(&text, "deltas"), asked).unwrap();
    assert_eq!(*log.lock().unwrap(), ["a.vmdk", "b.vmdk", "tools.iso"]);
}

#[test]
fn a_cluster_without_a_scheduler_is_told_the_host() {
    const OFF: crate::rig::Swaps = &[(
        "<name>configuration.drsConfig.enabled</name><val xsi:type=\"xsd:boolean\">true<",
        "<name>configuration.drsConfig.enabled</name><val xsi:type=\"xsd:boolean\">false<",
    )];
    let text = descriptor(&["VM Network"]);
    let wants = ["VM Network".to_owned()];
    let mut what = wanted(&text, "edge");
    what.wants = &wants;
    for (swaps, named) in [(&[][..], false), (OFF, true)] {
        let room = Room::with(true, "[]", swaps, None);
        let steps = room.plan(&what).unwrap();
        room.import(&what, Files::of(files())).unwrap();
        let heard = room.heard();
        let of = |name: &str| heard.iter().find(|it| it.soap == name).unwrap();
        assert_eq!(of("ImportVApp").text.contains("<host type=\"HostSystem\">"), named);
        assert_eq!(of("CreateImportSpec").text.contains("<hostSystem"), named);
        assert_eq!(steps[0].contains("on `esxi0"), named, "{steps:?}");
    }
}
