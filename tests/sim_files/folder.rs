//! Files of datastores over HTTP.

use std::io::Read;

use jumpvisor::sim::files::File;
use jumpvisor::sim::world::Plain;
use jumpvisor::vim::value::{Object, Ref};

use crate::host::Host;

const AT: &str = "?dcPath=ha-datacenter&dsName=datastore1";

#[test]
fn who_may() {
    let mut host = Host::new();
    let log = format!("web01/vmware.log{AT}");
    assert_eq!(host.folder("GET", &log, &[], b"").status, 200);
    let own = std::mem::take(&mut host.cookie);
    let refused = host.folder("GET", &log, &[], b"");
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("WWW-Authenticate"), "Basic realm=\"VMware HTTP server\"");
    let wrong = [("Authorization", "Basic cm9vdDp3cm9uZw==")];
    assert_eq!(host.folder("GET", &log, &wrong, b"").status, 401);
    let basic = [("Authorization", "Basic cm9vdDpzZWNyZXQ=")];
    assert_eq!(host.folder("GET", &log, &basic, b"").status, 200);
    host.cookie = own;
    host.call("SessionManager:ha-sessionmgr", "Logout", "");
    assert_eq!(host.folder("GET", &log, &[], b"").status, 401);
    host.cookie.clear();
    host.cookie = host.login("<userName>viewer</userName><password>secret</password>");
    assert_eq!(host.folder("GET", &log, &[], b"").status, 200);
    assert_eq!(host.folder("PUT", &log, &[], b"x").status, 403);
}

#[test]
fn reading() {
    let host = Host::new();
    let get = |path: &str, headers: &[(&str, &str)]| host.folder("GET", path, headers, b"");
    let log = format!("web01/vmware.log{AT}");
    let whole = get(&log, &[]);
    assert!(whole.text().contains("displayName = \"web01\""), "{}", whole.text());
    let part = get(&log, &[("Range", "bytes=5-9")]);
    assert_eq!((part.status, &part.body[..]), (206, &whole.body[5..10]));
    let size = whole.body.len();
    assert_eq!(part.header("Content-Range"), format!("bytes 5-9/{size}"));
    let tail = get(&log, &[("Range", "bytes=-7")]);
    assert_eq!((tail.status, &tail.body[..]), (206, &whole.body[size - 7..]));
    let beyond = get(&log, &[("Range", "bytes=99999999-")]);
    assert_eq!((beyond.status, beyond.header("Content-Range")), (416, &*format!("bytes */{size}")));
    for missing in [
        format!("web01/none.log{AT}"),
        format!("web01/vmware.log/{AT}"),
        "web01/vmware.log?dsName=none".to_owned(),
        "web01/vmware.log?dcPath=none&dsName=datastore1".to_owned(),
        "web01/vmware.log".to_owned(),
        format!("..%2fweb01/vmware.log{AT}"),
    ] {
        assert_eq!(get(&missing, &[]).status, 404, "{missing}");
    }
    assert_eq!(get("web01/vmware.log?dsName=datastore1", &[]).status, 200);
    // Far behind what is kept there are zeros.
    let iso = get("iso/windows-2025.iso?dsName=nas01", &[("Range", "bytes=6000000000-6000000003")]);
    assert_eq!((iso.status, iso.body), (206, vec![0; 4]));
    let page = get(&format!("web01{AT}"), &[]);
    let link = "<a href=\"/folder/web01/vmware.log?dcPath=ha%2ddatacenter&amp;dsName=datastore1\">";
    assert!(page.header("Content-Type").starts_with("text/html"));
    assert!(page.text().contains(link), "{}", page.text());
    assert!(get("", &[]).text().contains("dsName=nas01\">nas01</a>"));
    host.simulator.world().files.put("[datastore1] web01/web01-flat.vmdk", File::blank(1 << 30, 0));
    assert_eq!(get(&format!("web01/web01-flat.vmdk{AT}"), &[]).status, 500);
}

#[test]
fn writing_and_names() {
    let host = Host::new();
    for (escaped, name) in [
        ("a%20b%25%23.txt", "a b%#.txt"),
        ("a+b%2Bc.txt", "a+b+c.txt"),
        ("%c3%bc%e6%bc%a2.txt", "ü漢.txt"),
        ("a%5bb%5d.txt", "a[b].txt"),
    ] {
        let path = format!("iso/{escaped}{AT}");
        assert_eq!(host.folder("PUT", &path, &[], b"hello").status, 201, "{escaped}");
        assert_eq!(host.folder("PUT", &path, &[], b"hello you").status, 200, "{escaped}");
        let stored = format!("[datastore1] iso/{name}");
        assert_eq!(host.simulator.world().files.size(&stored), 9, "{name}");
        assert_eq!(host.folder("GET", &path, &[], b"").body, b"hello you", "{escaped}");
        assert_eq!(host.folder("DELETE", &path, &[], b"").status, 204, "{escaped}");
        assert_eq!(host.folder("DELETE", &path, &[], b"").status, 404, "{escaped}");
    }
    let put = |path: &str, headers: &[(&str, &str)]| {
        host.folder("PUT", &format!("{path}{AT}"), headers, b"x").status
    };
    assert_eq!((put("none/x", &[]), put("iso", &[]), put("iso/x/", &[])), (404, 405, 405));
    assert_eq!(put("iso/x", &[("Content-Length", "9000000000000")]), 500);
    assert_eq!(put("web01/vmware.log", &[]), 500);
    assert_eq!(host.folder("PATCH", &format!("iso/x{AT}"), &[], b"").status, 405);
    // A body that breaks off leaves nothing.
    let mut broken = std::io::repeat(1).take(100).chain(jumpvisor::sim::http::Broken);
    let cookie = [("Cookie", &*host.cookie)];
    let reply = host.ask("PUT", &format!("/folder/iso/cut{AT}"), &cookie, &mut broken);
    assert_eq!(reply.status, 400);
    assert!(!host.simulator.world().files.exists("[datastore1] iso/cut"));
}

#[test]
fn a_datacenter_is_named_with_its_folders() {
    let host = Host::new();
    {
        // As on a vCenter: the datacenter stands in a folder, and its name has an ampersand.
        let mut world = host.simulator.world();
        let center = world.all("Datacenter").next().unwrap().0.to_owned();
        world.plain_mut(&center).unwrap().set("name", "R&D");
        let folder = Plain { kind: "Folder", props: Object::args().with("name", "Europe") };
        world.plain.get_or("group-d9".to_owned(), || folder);
        let root = world.plain_mut(&center).unwrap().reference("parent").unwrap().clone();
        world.plain_mut("group-d9").unwrap().set("parent", root);
        world.plain_mut(&center).unwrap().set("parent", Ref::new("Folder", "group-d9"));
        world.vcenter = true;
    }
    let status = |center: &str| {
        let path = format!("web01/vmware.log?dcPath={center}&dsName=datastore1");
        host.folder("GET", &path, &[], b"").status
    };
    assert_eq!((status("Europe%2FR%2526D"), status("Europe/R%2526D")), (200, 200));
    for wrong in ["R%2526D", "Europe/R%26D", "Europe", "ha-datacenter", ""] {
        assert_eq!(status(wrong), 404, "{wrong}");
    }
}

#[test]
fn a_gigabyte_is_counted_and_not_kept() {
    let host = Host::new();
    // A debug build hashes slowly.
    let size: u64 = if cfg!(debug_assertions) { 64 << 20 } else { 1 << 30 };
    let cookie = [("Cookie", &*host.cookie)];
    let mut body = std::io::repeat(7).take(size);
    let reply = host.ask("PUT", &format!("/folder/iso/big.iso{AT}"), &cookie, &mut body);
    assert_eq!(reply.status, 201);
    let world = host.simulator.world();
    let upload = world.nfc.uploads.back().unwrap();
    assert_eq!((&*upload.path, upload.sums.bytes), ("[datastore1] iso/big.iso", size));
    let file = world.files.file("[datastore1] iso/big.iso").unwrap();
    assert_eq!((file.size, file.content.as_ref().unwrap().len()), (size, 64 << 10));
}
