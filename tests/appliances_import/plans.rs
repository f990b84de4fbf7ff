//! What a plan says and refuses, with rights that allow no change.

use jumpvisor::error::Kind;
use jumpvisor::hv::appliances::{Provisioning, Pull};
use jumpvisor::hv::disks::Image;

use crate::rig::{Room, descriptor, setting, wanted};

#[test]
fn it_says_what_will_be_made_and_hides_what_may_be_secret() {
    let room = Room::new(false, "[]");
    let text = descriptor(&["Inside", "VM Network"]);
    let wants = ["Inside".to_owned(), "VM Network".to_owned()];
    let settings = [
        setting("hostname", "edge-name", true),
        setting("admin.pw", "hunter2", true),
        setting("dns", "10.0.0.1", false),
    ];
    let mut what = wanted(&text, "edge");
    let map = [("Inside".to_owned(), "Nowhere".to_owned())];
    (what.wants, what.networks, what.settings) = (&wants, &map, &settings);
    what.power_on = true;
    let names = room.plan(&what).err().map(|it| it.to_string());
    let names = names.expect("there is no network `Nowhere`");
    assert!(
        names.starts_with("no usable network `Nowhere`") && names.contains("VM Network"),
        "{names}"
    );
    let map = [("Inside".to_owned(), "VM Network".to_owned())];
    what.networks = &map;
    let steps = room.plan(&what).unwrap();
    let said = steps.join("\n");
    assert!(!said.contains("hunter2") && !said.contains("edge-name"), "{said}");
    for part in [
        "`edge` is made of the appliance on `esxi01.lab.example`",
        "2 disks (1 GB, 1 GB), thin, on `",
        "its network `Inside` is `VM Network`",
        "network `VM Network`",
        "it is sent 3 files of 142 kB",
        "OVF environment",
        "it is powered on",
    ] {
        assert!(said.contains(part), "`{part}` is not in\n{said}");
    }
    assert!(room.machine("edge").is_none());
}

#[test]
fn networks_are_mapped_or_the_error_lists_them() {
    let room = Room::new(false, "[]");
    let refused = |what: &_| room.plan(what).err().unwrap();
    let two = descriptor(&["Inside", "Outside"]);
    let wants = ["Inside".to_owned(), "Outside".to_owned()];
    let mut what = wanted(&two, "edge");
    what.wants = &wants;
    let error = refused(&what);
    assert_eq!(error.kind(), Kind::Usage);
    let said = error.to_string();
    assert!(said.contains("no network is named for Inside, Outside of the appliance"), "{said}");
    assert!(said.contains("network_map") && said.contains("VM Network"), "{said}");
    what.network = Some("VM Network");
    assert!(room.plan(&what).is_ok());
    let map = [("Insid".to_owned(), "VM Network".to_owned())];
    what.networks = &map;
    let said = refused(&what).to_string();
    assert!(said.starts_with("the appliance names no network `Insid`. Did you mean `Inside`?"));
    // One alone takes the usual one.
    let one = descriptor(&["Inside"]);
    let mut what = wanted(&one, "edge");
    what.wants = &wants[..1];
    assert!(room.plan(&what).unwrap().join("\n").contains("its network `Inside` is `"));
    let none = descriptor(&[]);
    let mut what = wanted(&none, "edge");
    what.network = Some("VM Network");
    assert!(room.plan(&what).unwrap().join("\n").contains("`VM Network` is not used"));
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_made() {
    let room = Room::new(false, "[]");
    let text = descriptor(&[]);
    let refused = |what: &_| room.plan(what).err().unwrap().to_string();
    let taken = room.machine("web01").map_or("test01", |_| "web01");
    assert!(
        refused(&wanted(&text, taken)).contains("already"),
        "{}",
        refused(&wanted(&text, taken))
    );
    let newer = text.replace("vmx-13", "vmx-99");
    let said = refused(&wanted(&newer, "edge"));
    assert!(
        said.starts_with("the server cannot take this appliance: ")
            && said.contains("needs a newer ESXi"),
        "{said}"
    );
    let garbage = refused(&wanted("<nothing", "edge"));
    assert!(garbage.contains("OvfXmlFormat"), "{garbage}");
    let huge = text.replace("ovf:capacity=\"1\"", "ovf:capacity=\"60000\"");
    let mut what = wanted(&huge, "edge");
    let grows = room.plan(&what).unwrap().join("\n");
    assert!(
        grows.contains("its disks can grow to 120000 GB, for which there is no room"),
        "{grows}"
    );
    what.provisioning = Provisioning::EagerZeroedThick;
    let said = refused(&what);
    assert!(said.contains("free, and it takes 120000 GB") && said.contains("=thin"), "{said}");
    let big = text.replace("ovf:size=\"70000\"", "ovf:size=\"70000000000000\"");
    assert!(refused(&wanted(&big, "edge")).contains("make room"));
    // The simulated host takes no such disks; what reads the text does not know comments.
    let parents = format!("{text}<!-- <Disk ovf:parentRef=\"d1\"/> -->");
    let mut what = wanted(&parents, "edge");
    let can = room.plan(&what);
    assert!(can.is_ok(), "{can:?}");
    what.one_pass = true;
    assert!(refused(&what).contains("their order counts. Save it to a file"), "{}", refused(&what));
    let twice = text.replace("b.vmdk", "a.vmdk");
    let mut what = wanted(&twice, "edge");
    what.one_pass = true;
    assert!(refused(&what).starts_with("`a.vmdk` is needed twice"), "{}", refused(&what));
    let mut what = wanted(&text, "edge");
    what.iso = Some(Image { path: "[datastore1] iso/none.iso".into(), datastore: None });
    assert!(refused(&what).contains("iso"), "{}", refused(&what));
    let bell = [setting("hostname", "a\u{7}", false)];
    let mut what = wanted(&text, "edge");
    what.settings = &bell;
    assert!(refused(&what).contains("U+0007"), "{}", refused(&what));
    let mut what = wanted(&text, "edge");
    what.datastore = Some("datastore9");
    assert!(refused(&what).contains("no usable datastore `datastore9`"));
    assert!(room.machine("edge").is_none());
}

#[test]
fn who_fetches_by_itself_must_be_able_to() {
    let text = descriptor(&[]);
    let pull = |url: &str| Pull { url: url.into(), archive: true, thumbprint: None };
    let old = Room::with(false, "[]", &[], Some("6.5"));
    let mut what = wanted(&text, "edge");
    what.pull = Some(pull("http://u:secret@files.example/a.ova?token=secret"));
    let said = old.plan(&what).err().unwrap().to_string();
    assert!(
        said.contains("since 6.7, and this server speaks 6.5") && said.contains("mode=push"),
        "{said}"
    );
    let room = Room::new(false, "[]");
    let said = room.plan(&what).unwrap().join("\n");
    assert!(
        said.contains(
            "the host fetches 3 files of 142 kB by itself from http://files.example/a.ova;"
        ),
        "{said}"
    );
    assert!(!said.contains("secret"), "{said}");
    what.pull = Some(pull("https://files.example/a.ova"));
    assert!(room.plan(&what).is_err());
    let packed =
        text.replace("ovf:href=\"a.vmdk\"", "ovf:href=\"a.vmdk\" ovf:compression=\"gzip\"");
    let mut what = wanted(&packed, "edge");
    what.pull = Some(pull("http://files.example/a.ova"));
    assert!(room.plan(&what).err().unwrap().to_string().contains("`a.vmdk` is compressed"));
}
