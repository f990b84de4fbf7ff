//! An export to a datastore, on one that is pretended: what goes where, and what goes again.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Mutex;

use jumpvisor::error::{Error, Kind, Result};
use jumpvisor::hv::appliances::Collect;
use jumpvisor::hv::call::{Call, Rights};
use jumpvisor::hv::prepared::Prepared;
use jumpvisor::hv::stores::{Browse, Entry, Slot, StoreDetail, Stored, Stores, Transfer};
use jumpvisor::tools::ova_collect::{Remote, Sheet};

use crate::lab::{Lab, digest};

/// Files by path; a folder ends with `/`.
#[derive(Default)]
struct Pretended(Mutex<BTreeMap<String, Vec<u8>>>);

impl Pretended {
    fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().keys().cloned().collect()
    }
}

impl Stores for Pretended {
    fn detail(&self, _: &Call, _: &str, _: bool) -> Result<StoreDetail> {
        Err(Error::bug("not pretended"))
    }

    fn browse(&self, _: &Call, what: &Browse<'_>) -> Result<Vec<Entry>> {
        let below = format!("{}/", what.path);
        let all = self.0.lock().unwrap();
        if !all.contains_key(&below) {
            return Err(Error::new(Kind::NotFound, "no such folder"));
        }
        let entry = |path: &String| Entry {
            path: path.clone(),
            kind: "file",
            folder: path.ends_with('/'),
            size_bytes: None,
            modified: None,
            owner: None,
            capacity_bytes: None,
            thin: None,
            adapter: None,
            alias: None,
        };
        let inside = |it: &&String| it.starts_with(&below) && **it != below;
        Ok(all.keys().filter(inside).map(entry).collect())
    }

    fn remove<'a>(&'a self, _: &Call, store: &str, path: &str) -> Result<Prepared<'a>> {
        assert_eq!(store, "nas");
        let (path, folder) = (path.to_owned(), format!("{path}/"));
        Ok(Prepared::new(Vec::new(), "", move |call| {
            assert_eq!(call.rights(), Rights::Change);
            self.0.lock().unwrap().retain(|it, _| *it != path && !it.starts_with(&folder));
            Ok(Vec::new())
        }))
    }

    fn make_folder<'a>(&'a self, _: &Call, _: &str, _: &str) -> Result<Prepared<'a>> {
        Err(Error::bug("not pretended"))
    }

    fn transfer<'a>(&'a self, _: &Call, _: &Transfer<'_>) -> Result<Prepared<'a>> {
        Err(Error::bug("not pretended"))
    }

    fn is_path(&self, _: &str) -> bool {
        false
    }

    fn beside(&self, _: &str, _: &str) -> Result<String> {
        Err(Error::bug("not pretended"))
    }

    fn read<'a>(&'a self, _: &Call, _: Option<&str>, _: &str) -> Result<Stored<'a>> {
        Err(Error::bug("not pretended"))
    }

    fn slot(&self, _: &Call, store: Option<&str>, path: &str, overwrite: bool) -> Result<Slot> {
        let all = self.0.lock().unwrap();
        if all.contains_key(path) && !overwrite {
            return Err(Error::new(Kind::Conflict, format!("`{path}` is there already")));
        }
        let store = store.unwrap().to_owned();
        Ok(Slot {
            free_bytes: None,
            warning: None,
            shown: format!("[{store}] {path}"),
            store,
            path: path.to_owned(),
            replaces: None,
            makes: (!all.contains_key("out/")).then(|| "out".to_owned()),
        })
    }

    fn write(
        &self,
        call: &Call,
        to: &Slot,
        size: Option<u64>,
        body: &mut dyn Read,
    ) -> Result<Option<String>> {
        assert_eq!(call.rights(), Rights::Change);
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes).unwrap();
        assert!(size.is_none_or(|it| it == bytes.len() as u64));
        let mut all = self.0.lock().unwrap();
        all.insert("out/".to_owned(), Vec::new());
        if bytes == b"bad" {
            return Err(Error::new(Kind::Network, "it broke off"));
        }
        all.insert(to.path.clone(), bytes);
        Ok(None)
    }
}

const NAMES: [&str; 3] = ["vm.ovf", "vm-disk1.vmdk", "vm-disk2.vmdk"];
const DESCRIPTOR: &str = r#"<Envelope><References><File href="vm-disk1.vmdk" id="1"/>
    <File href="vm-disk2.vmdk" id="2"/></References><VirtualSystem id="vm"/></Envelope>"#;

fn remote(stores: &Pretended, overwrite: bool) -> Remote<'_> {
    let sheet = Sheet::default();
    let (store, folder) = (Some("nas".to_owned()), "out/".to_owned());
    let sent = Default::default();
    Remote { stores, store, folder, overwrite, sheet, sent }
}

fn begun(stores: &Pretended, overwrite: bool) -> Result<Remote<'_>> {
    let mut it = remote(stores, overwrite);
    it.begin(&Call::new(Rights::Change), &NAMES.map(str::to_owned), "")?;
    Ok(it)
}

#[test]
fn all_files_go_to_one_folder_and_the_descriptor_last() {
    let stores = Pretended::default();
    let mut it = begun(&stores, false).unwrap();
    let sheet = it.sheet.clone();
    for (name, body) in [("vm-disk1.vmdk", "one"), ("vm-disk2.vmdk", "two")] {
        assert_eq!(it.file(name, &mut body.as_bytes()).unwrap(), 3);
    }
    let done = it.finish(DESCRIPTOR).unwrap();
    assert_eq!(done, ["4 files on the datastore, the descriptor as [nas] out/vm.ovf"]);
    drop(it);
    assert_eq!(
        stores.names(),
        ["out/", "out/vm-disk1.vmdk", "out/vm-disk2.vmdk", "out/vm.mf", "out/vm.ovf"]
    );
    let manifest = String::from_utf8(stores.0.lock().unwrap()["out/vm.mf"].clone()).unwrap();
    let (ovf, one) = (digest(DESCRIPTOR.as_bytes()), digest(b"one"));
    let begin = format!("SHA256(vm.ovf)= {ovf}\nSHA256(vm-disk1.vmdk)= {one}\n");
    assert!(manifest.starts_with(&begin), "{manifest}");
    let told: Vec<String> = sheet.all().iter().map(|it| it.name.clone()).collect();
    assert_eq!(told, NAMES);
    // Another one does not touch it.
    assert_eq!(begun(&stores, false).err().unwrap().kind(), Kind::Conflict);
    assert_eq!(stores.names().len(), 5);
}

#[test]
fn what_breaks_off_takes_its_files_and_its_folder_with_it() {
    let stores = Pretended::default();
    stores.0.lock().unwrap().insert("other".to_owned(), Vec::new());
    let mut it = begun(&stores, false).unwrap();
    it.file("vm-disk1.vmdk", &mut &b"one"[..]).unwrap();
    assert!(it.file("vm-disk2.vmdk", &mut &b"bad"[..]).is_err());
    drop(it);
    assert_eq!(stores.names(), ["other"]);
    // What somebody else has put there stays, and the folder with it.
    let mut it = begun(&stores, false).unwrap();
    it.file("vm-disk1.vmdk", &mut &b"one"[..]).unwrap();
    stores.0.lock().unwrap().insert("out/theirs".to_owned(), Vec::new());
    drop(it);
    assert_eq!(stores.names(), ["other", "out/", "out/theirs"]);
}

#[test]
fn a_descriptor_that_leaves_a_disk_out_is_refused() {
    let stores = Pretended::default();
    let mut it = begun(&stores, false).unwrap();
    it.file("vm-disk1.vmdk", &mut &b"one"[..]).unwrap();
    let error = it.finish(&DESCRIPTOR.replace("vm-disk1", "gone")).unwrap_err().to_string();
    assert!(error.contains("does not name `vm-disk1.vmdk`"), "{error}");
    drop(it);
    assert_eq!(stores.names(), [""; 0]);
}

const ON_STORE: &str = r#""datastore":"nas01","target_path":"exp/ü 50% + #1""#;

#[test]
fn what_lies_on_a_datastore_is_deployed_from_there() {
    for (vcenter, name) in [(false, "test01"), (false, "db01"), (true, "web01")] {
        let lab = Lab::of(vcenter, "[]", None);
        let shown = lab.export(name, ON_STORE).unwrap();
        let sent = lab.sent();
        assert!(sent.iter().all(|(_, sum)| shown.contains(sum)), "{shown}");
        lab.must_be_untouched(name);
        // A disk of before is not replaced, and the machine is not held to find that out.
        let again = lab.export(name, &format!(r#"{ON_STORE},"overwrite":true"#)).unwrap_err();
        assert!(again.to_string().contains("delete_datastore_file"), "{again}");
        assert_eq!(lab.sent().len(), 0);
        let from =
            format!(r#"{{"ovf_path":"[nas01] exp/ü 50% + #1/{name}.ovf","vm_name":"back"}}"#);
        let shown = lab.ask("deploy_ovf", &from).unwrap();
        assert!(shown.contains("compared with the manifest"), "{shown}");
        assert_eq!(lab.taken(), sent, "{name}");
    }
}

#[test]
fn what_breaks_off_leaves_nothing_on_a_datastore() {
    let gone = r#"[{"path": "/ha-nfc/*", "nth": 2, "drop": 70000}]"#;
    let full = r#"[{"path": "/folder/exp/*disk2*", "status": 500}]"#;
    let last = r#"[{"path": "/folder/exp/*.ovf*", "status": 500}]"#;
    let cut = r#"[{"path": "/folder/exp/*disk1*", "truncate": 70000}]"#;
    for rules in [gone, full, last, cut, "[]"] {
        let lab = Lab::new(rules);
        if rules == "[]" {
            lab.cancel_after(200_000);
        }
        let error = lab.export("db01", ON_STORE).unwrap_err();
        assert_eq!(error.kind() == Kind::Cancelled, rules == "[]", "{error}");
        let left = r#"{"datastore":"nas01","path":"exp","recursive":true}"#;
        match lab.ask("browse_datastore", left) {
            Ok(left) => {
                assert!(!left.contains("file") && !left.contains("disk"), "{rules}: {left}")
            }
            Err(error) => assert_eq!(error.kind(), Kind::NotFound, "{rules}: {error}"),
        }
        lab.must_be_untouched("db01");
    }
}
