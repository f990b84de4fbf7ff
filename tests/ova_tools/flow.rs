//! The files of archives, through pipes and from sources that seek.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jumpvisor::error::Kind;
use jumpvisor::files::source::{Open, Source};
use jumpvisor::hv::call::{Call, Rights};
use jumpvisor::ova::flow::Flow;
use jumpvisor::ova::input::{Begun, Seeks};
use jumpvisor::ova::manifest::Algorithm;
use jumpvisor::ova::package::{Depth, Package};
use jumpvisor::ova::write;
use jumpvisor::tools::ova_source::input;
use jumpvisor::web::exchange::from_io;

use crate::made::{
    Asked, Counted, Folder, Members, archive, data, descriptor, drink, flowed, manifest, member,
    package, through,
};

const EACH: [Seeks; 3] = [Seeks::Never, Seeks::Slowly, Seeks::Freely];

/// A descriptor and two disks.
fn parts() -> [(String, Vec<u8>); 3] {
    let files = [r#"id="f1" href="one.vmdk" size="300000""#, r#"id="f2" href="two.vmdk""#];
    let disks = [member("one.vmdk", data(300_000, 1)), member("two.vmdk", data(700, 2))];
    let [one, two] = disks;
    [descriptor(&files, ""), one, two]
}

fn refused(bytes: &[u8], seeks: Seeks) -> String {
    match through(bytes.to_vec(), seeks, true) {
        Ok(drunk) => panic!("taken: {:?}", drunk.said),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_byte_arrives_whatever_the_order_and_wherever_the_manifest_stands() {
    let [ovf, one, two] = parts();
    let all = [&ovf, &one, &two];
    for algorithm in [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512] {
        let mf = member("edge.mf", manifest(algorithm, &all));
        let cert = member("edge.cert", "SHA256(edge.mf)= 00");
        let orders: [&[&(String, Vec<u8>)]; 5] = [
            &[&ovf, &mf, &cert, &one, &two],
            &[&ovf, &one, &two, &mf, &cert],
            &[&ovf, &two, &one, &mf],
            &[&ovf, &two, &mf, &one],
            &[&mf, &ovf, &two, &one],
        ];
        for (at, order) in orders.iter().enumerate() {
            let bytes = archive(&order.iter().map(|it| (*it).clone()).collect::<Members>());
            for seeks in EACH {
                let drunk = through(bytes.clone(), seeks, true).unwrap();
                let mut files = drunk.files.clone();
                files.sort();
                assert_eq!(files, [one.clone(), two.clone()], "{at} {seeks:?}");
                let first = order.iter().find(|it| it.0.ends_with("vmdk")).unwrap();
                assert_eq!(drunk.names()[0], first.0, "as the archive has them");
                assert_eq!(drunk.said, ["3 files compared with the manifest `edge.mf`"]);
            }
        }
    }
}

#[test]
fn without_a_manifest_that_is_said() {
    let bytes = archive(&parts());
    for seeks in EACH {
        let drunk = through(bytes.clone(), seeks, true).unwrap();
        assert_eq!(drunk.said, ["there is no manifest, so nothing was compared with it"]);
        assert_eq!(drunk.sizes, [Some(300_000), Some(700)]);
        let drunk = through(bytes.clone(), seeks, false).unwrap();
        assert_eq!(drunk.said, ["not compared with a manifest, as verify=false says"]);
    }
}

#[test]
fn what_is_not_as_the_manifest_says_is_told() {
    let [ovf, one, two] = parts();
    let good = manifest(Algorithm::Sha256, &[&ovf, &one, &two]);
    for wrong in ["edge.ovf", "one.vmdk", "two.vmdk"] {
        let spoil = |it: &(String, Vec<u8>)| {
            let mut it = it.clone();
            if it.0 == wrong {
                let at = it.1.len() - 1;
                it.1[at] = if it.0 == "edge.ovf" { b' ' } else { it.1[at] ^ 1 };
                if it.0 == "edge.ovf" {
                    it.1[at] = b'>';
                    it.1.push(b'\n');
                }
            }
            it
        };
        let mf = member("edge.mf", good.clone());
        for end in [true, false] {
            let mut order = vec![spoil(&ovf), spoil(&one), spoil(&two)];
            order.insert(if end { 3 } else { 1 }, mf.clone());
            let bytes = archive(&order);
            for seeks in EACH {
                let said = refused(&bytes, seeks);
                assert!(said.contains(&format!("`{wrong}` is not what the manifest")), "{said}");
                assert!(through(bytes.clone(), seeks, false).is_ok(), "verify=false");
            }
        }
    }
    // A file that the manifest does not list.
    let mf = member("edge.mf", manifest(Algorithm::Sha256, &[&ovf, &one]));
    let drunk = through(archive(&[ovf.clone(), mf, one.clone(), two.clone()]), EACH[0], true);
    let said = drunk.unwrap().said;
    let wanted = [
        "`two.vmdk` is not listed in the manifest",
        "2 files compared with the manifest `edge.mf`",
    ];
    assert_eq!(said, wanted);
    // A file that the manifest lists and that is nowhere.
    let ghost = member("ghost.iso", "x");
    let mf = member("edge.mf", manifest(Algorithm::Sha1, &[&ovf, &one, &two, &ghost]));
    for seeks in EACH {
        let said = refused(&archive(&[ovf.clone(), one.clone(), mf.clone(), two.clone()]), seeks);
        assert!(said.contains("lists `ghost.iso`, which is not in the OVA"), "{said}");
    }
}

#[test]
fn a_manifest_at_the_end_is_read_first_where_that_is_possible() {
    let [ovf, one, two] = parts();
    let mf = member("edge.mf", manifest(Algorithm::Sha256, &[&ovf, &one, &two]));
    let bytes = archive(&[ovf, one, two, mf]);
    for (seeks, known) in [(Seeks::Never, false), (Seeks::Slowly, true), (Seeks::Freely, true)] {
        assert_eq!(package(bytes.clone(), seeks).unwrap().listing.is_some(), known);
    }
}

#[test]
fn a_truncated_archive_says_how_far_it_came() {
    let [ovf, one, two] = parts();
    let bytes = archive(&[ovf.clone(), one, two]);
    let begin = 512 + ovf.1.len().next_multiple_of(512);
    for seeks in EACH {
        let said = refused(&bytes[..begin + 512 + 100_000], seeks);
        assert!(said.contains("inside `one.vmdk`, after 100000 of its 300000 bytes"), "{said}");
        let said = refused(&bytes[..begin + 100], seeks);
        assert!(said.contains("ends too early"), "{said}");
        let said = refused(&bytes[..begin], seeks);
        assert!(said.contains("never came"), "{said}");
        let said = refused(&bytes[..700], seeks);
        assert!(said.contains("inside `edge.ovf`"), "{said}");
    }
}

#[test]
fn what_no_archive_may_be_is_told() {
    let [ovf, one, two] = parts();
    for seeks in EACH {
        let said = refused(&archive(&[ovf.clone(), one.clone()]), seeks);
        assert!(said.contains("`two.vmdk` never came"), "{said}");
        let order = [ovf.clone(), one.clone(), member("one.vmdk", "other"), two.clone()];
        let said = refused(&archive(&order), seeks);
        assert!(said.contains("two files of the name `one.vmdk`"), "{said}");
        let said = refused(&archive(&[member("inner.ova", "x"), one.clone()]), seeks);
        let wanted = match seeks {
            Seeks::Never => "begins with `inner.ova`",
            _ => "no descriptor (.ovf) in the OVA; it holds `inner.ova`, `one.vmdk`",
        };
        assert!(said.contains(wanted), "{said}");
    }
    // Larger than the descriptor says: what is there is what is taken.
    let (name, text) = ovf;
    let text = String::from_utf8(text).unwrap().replace("300000", "299999");
    let drunk = through(archive(&[member(&name, text), one, two]), Seeks::Never, true).unwrap();
    assert_eq!(drunk.sizes[0], Some(300_000));
    assert_eq!(drunk.said[0], "`one.vmdk` has 300000 bytes, the descriptor says 299999");
}

#[test]
fn a_descriptor_that_is_not_first_is_found_or_the_way_to_repack_is_told() {
    let [ovf, one, two] = parts();
    let mac = member("._edge.ovf", "what a Mac adds");
    let bytes = archive(&[mac, one.clone(), two.clone(), ovf, member("second.ovf", "<x/>")]);
    for seeks in [Seeks::Slowly, Seeks::Freely] {
        let found = package(bytes.clone(), seeks).unwrap();
        assert_eq!(found.name, "edge.ovf");
        assert_eq!(found.notes.len(), 2, "{:?}", found.notes);
        assert!(found.notes[1].contains("2 descriptors; `edge.ovf` is the one"));
        let drunk = through(bytes.clone(), seeks, true).unwrap();
        assert_eq!(drunk.files, [one.clone(), two.clone()]);
    }
    let said = refused(&bytes, Seeks::Never);
    assert!(said.contains("begins with `one.vmdk` and not with its descriptor"), "{said}");
    // What the hint says helps.
    let folder = Folder::new("repack");
    folder.put("OLD.ova", &bytes);
    assert!(said.contains("tar -xf OLD.ova && tar --format=ustar -cf NEW.ova X.ovf X.mf DISKS"));
    let command = "tar -xf OLD.ova && tar --format=ustar -cf NEW.ova edge.ovf one.vmdk two.vmdk";
    let run = Command::new("sh").args(["-c", command]).current_dir(folder.path()).status();
    assert!(run.unwrap().success());
    let bytes = std::fs::read(folder.path().join("NEW.ova")).unwrap();
    assert_eq!(through(bytes, Seeks::Never, true).unwrap().files, [one, two]);
}

#[test]
fn disks_that_build_on_each_other_come_in_their_order() {
    let [ovf, one, two] = parts();
    let text = String::from_utf8(ovf.1).unwrap();
    let delta = text.replace(r#"diskId="d-f2""#, r#"diskId="d-f2" parentRef="d-f1""#);
    let bytes = archive(&[member("edge.ovf", delta), two.clone(), one.clone()]);
    for seeks in [Seeks::Slowly, Seeks::Freely] {
        let drunk = through(bytes.clone(), seeks, true).unwrap();
        assert_eq!(drunk.files, [one.clone(), two.clone()]);
    }
    let said = refused(&bytes, Seeks::Never);
    assert!(said.contains("`two.vmdk` comes before `one.vmdk`, which it builds on"), "{said}");
    // Waiting for one at a time, as who keeps the order does.
    let mut flow = Flow::new(package(bytes, Seeks::Never).unwrap(), true).unwrap();
    let said = flow.next(&["one.vmdk"]).unwrap_err().to_string();
    assert!(said.contains("`two.vmdk` comes before `one.vmdk`"), "{said}");
    // One file for two disks.
    let twice = text.replace(r#"fileRef="f2""#, r#"fileRef="f1""#);
    let bytes = archive(&[member("edge.ovf", twice), two, one.clone()]);
    for seeks in [Seeks::Slowly, Seeks::Freely] {
        let drunk = through(bytes.clone(), seeks, true).unwrap();
        assert_eq!(drunk.files, [one.clone(), one.clone()]);
    }
    assert!(refused(&bytes, Seeks::Never).contains("`one.vmdk` never came"));
}

#[test]
fn packed_and_split_files_are_joined_and_unpacked() {
    let (small, large) = (data(5_000, 3), data(200_000, 4));
    let packed = gzip(&large);
    let files = [
        r#"id="f1" href="a%20disk.vmdk" chunkSize="2000" size="5000""#,
        r#"id="f2" href="./b.vmdk.gz" compression="gzip""#,
    ];
    let ovf = descriptor(&files, "");
    let mut members = vec![ovf];
    for (number, piece) in small.chunks(2_000).enumerate() {
        members.push(member(&format!("a disk.vmdk.{number:09}"), piece));
    }
    members.push(member("b.vmdk.gz", packed.clone()));
    let mf = manifest(Algorithm::Sha256, &members.iter().collect::<Vec<_>>());
    members.insert(1, member("edge.mf", mf));
    for seeks in EACH {
        let drunk = through(archive(&members), seeks, true).unwrap();
        let names = ["a%20disk.vmdk", "./b.vmdk.gz"];
        assert_eq!(drunk.names(), names);
        assert_eq!([&drunk.files[0].1, &drunk.files[1].1], [&small, &large]);
        assert_eq!(drunk.sizes, [Some(5_000), None]);
        assert_eq!(drunk.said, ["5 files compared with the manifest `edge.mf`"]);
        // A piece that is missing, and gzip data that is cut off.
        let mut less = members.clone();
        less.remove(4);
        let said = refused(&archive(&less), seeks);
        assert!(
            said.contains("a%20disk.vmdk` has 4000 bytes and should have 5000")
                || said.contains("manifest"),
            "{said}"
        );
        let mut cut = members.clone();
        cut.remove(1);
        cut[4].1.truncate(packed.len() / 2);
        let said = refused(&archive(&cut), seeks);
        assert!(said.contains("cannot be unpacked: its gzip data ends too early"), "{said}");
    }
    let bzip2 = descriptor(&[r#"id="f1" href="a.vmdk" compression="bzip2""#], "");
    let said = refused(&archive(&[bzip2, member("a.vmdk", "BZh")]), Seeks::Never);
    assert!(said.contains("`a.vmdk` is packed with `bzip2`"), "{said}");
}

#[test]
fn a_packed_archive_is_unpacked_on_the_way() {
    let [ovf, one, two] = parts();
    let bytes = gzip(&archive(&[ovf, one.clone(), two.clone()]));
    for seeks in EACH {
        let drunk = through(bytes.clone(), seeks, true).unwrap();
        assert_eq!(drunk.files, [one.clone(), two.clone()]);
    }
    assert!(package(bytes, Seeks::Freely).unwrap().notes[0].contains("packed with gzip"));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let command =
        Command::new("gzip").arg("-1").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut run = command.unwrap();
    let mut input = run.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&bytes).unwrap());
    let mut packed = Vec::new();
    run.stdout.take().unwrap().read_to_end(&mut packed).unwrap();
    writer.join().unwrap();
    assert!(run.wait().unwrap().success());
    packed
}

/// An archive whose one disk is zeros of this size; its bytes are made as they are read.
fn endless(size: u64, seeks: Seeks, listing: Option<&str>) -> (Counted, Arc<Asked>) {
    let ovf = descriptor(&[r#"id="f1" href="big.vmdk""#], "");
    let mut head = archive(&[ovf]);
    head.truncate(head.len() - 1024);
    if let Some(digest) = listing {
        let mf = format!("SHA256(big.vmdk)= {digest}\n");
        head.extend(write::header("edge.mf", mf.len() as u64, 0).unwrap());
        head.extend(mf.into_bytes());
        head.resize(head.len().next_multiple_of(512), 0);
    }
    head.extend(write::header("big.vmdk", size, 0).unwrap());
    let all = head.len() as u64 + size + 1024;
    let (mut source, asked) = Counted::new(Vec::new(), seeks);
    source.size = source.size.map(|_| all);
    source.data = Box::new(move |at, into| {
        let most = usize::try_from(all - at).unwrap().min(into.len());
        into[..most].fill(0);
        let rest = head.get(usize::try_from(at).unwrap()..).unwrap_or_default();
        let shared = rest.len().min(most);
        into[..shared].copy_from_slice(&rest[..shared]);
        most
    });
    (source, asked)
}

/// Of 1 GiB of zeros.
const DIGEST: &str = "49bc20df15e412a64472421e13fe86ff1c5165e18b2afccf160d4dc19fe68a14";

#[test]
fn a_gibibyte_flows_through_in_pieces() {
    const SIZE: u64 = 1 << 30;
    for seeks in EACH {
        let (source, asked) = endless(SIZE, seeks, Some(DIGEST));
        let begun = Begun::new(Box::new(source)).unwrap();
        let mut flow = Flow::new(Package::archive(begun, Depth::Deploy).unwrap(), true).unwrap();
        let mut buffer = vec![0; 256 * 1024];
        let mut next = |left: &[&str]| {
            assert_eq!(flow.next(left)?.unwrap().size, Some(SIZE));
            let mut got = 0;
            loop {
                match flow.read(&mut buffer).unwrap() {
                    0 => break,
                    more => got += more as u64,
                }
            }
            assert_eq!(got, SIZE);
            Ok(Some((0, None, Vec::new())))
        };
        drink(&mut next, &["big.vmdk"]).unwrap();
        assert_eq!(flow.finish().unwrap(), ["1 file compared with the manifest `edge.mf`"]);
        // Nothing is read twice, and never more at once than there is a buffer for.
        assert!(asked.bytes() < SIZE + 16_384, "{}", asked.bytes());
        assert_eq!(asked.largest.load(Ordering::SeqCst), buffer.len());
    }
}

#[test]
fn damaged_archives_end_in_an_error_or_whole() {
    let (small, packed) = (data(5_000, 3), gzip(&data(3_000, 4)));
    let files = [
        r#"id="f1" href="a.vmdk" chunkSize="2000" size="5000""#,
        r#"id="f2" href="b.vmdk.gz" compression="gzip""#,
        r#"id="f3" href="c.vmdk""#,
    ];
    let mut members = vec![descriptor(&files, "")];
    for (number, piece) in small.chunks(2_000).enumerate() {
        members.push(member(&format!("a.vmdk.{number:09}"), piece));
    }
    members.push(member("b.vmdk.gz", packed));
    members.push(member("c.vmdk", data(700, 5)));
    let good = archive(&members);
    let mf = manifest(Algorithm::Sha256, &members.iter().collect::<Vec<_>>());
    let mut state = 7_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % below
    };
    let (mut whole, mut refused) = (0, 0);
    for round in 0..3_000 {
        let mut order = members.clone();
        if round % 3 > 0 {
            order.insert(if round % 3 == 1 { 1 } else { 6 }, member("edge.mf", mf.clone()));
        }
        let mut bytes = archive(&order);
        for _ in 0..=random(3) {
            // Headers above all.
            let block = random(bytes.len() / 512) * 512;
            let at = block + [0, 1, 124, 135, 148, 156, 257, random(512)][random(8)];
            bytes[at] = [0, b'0', b'7', 0xff, b'x', random(256) as u8][random(6)];
        }
        if random(10) == 0 {
            bytes.truncate(random(bytes.len()));
        }
        for seeks in EACH {
            match through(bytes.clone(), seeks, true) {
                Ok(drunk)
                    if round % 3 > 0 && drunk.said.iter().any(|it| it.contains("6 files")) =>
                {
                    assert_eq!(drunk.files.iter().map(|it| it.1.len()).sum::<usize>(), 8_700);
                    whole += 1;
                }
                Ok(_) => whole += 1,
                Err(_) => refused += 1,
            }
        }
    }
    assert!(through(good, Seeks::Never, true).is_ok());
    assert!(whole > 100 && refused > 1_000, "{whole} whole, {refused} refused");
}

#[test]
fn a_cancelled_call_ends_the_flow_and_a_broken_line_does_not() {
    let [ovf, one, two] = parts();
    let bytes = archive(&[ovf, one.clone(), two]);
    let call = Call::new(Rights::ReadOnly);
    let source = Source::pipe("a pipe", std::io::Cursor::new(bytes.clone()));
    let begun = Begun::new(input(source, false, &call)).unwrap();
    let mut flow = Flow::new(Package::archive(begun, Depth::Deploy).unwrap(), true).unwrap();
    assert!(flow.is_one_pass() && flow.next(&["one.vmdk", "two.vmdk"]).unwrap().is_some());
    flow.read_exact(&mut [0; 1000]).unwrap();
    call.cancel().cancel();
    let error = from_io(flow.read(&mut [0; 1000]).unwrap_err());
    assert_eq!(error.kind(), Kind::Cancelled);
    assert_eq!(flow.finish().unwrap_err().kind(), Kind::Cancelled);
    // A server that closes each connection after 50,000 bytes.
    let (call, size) = (Call::new(Rights::ReadOnly), Some(bytes.len() as u64));
    let open: Open<'_> = Box::new(move |from| {
        let rest = bytes.get(usize::try_from(from).unwrap()..).unwrap_or_default();
        Ok(Box::new(std::io::Cursor::new(rest[..rest.len().min(50_000)].to_vec())))
    });
    let source = Source::fetched("http://x/edge.ova", size, None, open);
    let begun = Begun::new(input(source, false, &call)).unwrap();
    let drunk = flowed(Package::archive(begun, Depth::Deploy).unwrap(), true).unwrap();
    assert_eq!(drunk.files[0], one);
}

#[test]
fn looking_into_an_appliance_reads_no_disk() {
    for (seeks, listing, seek) in [
        (Seeks::Never, Some(DIGEST), 0),
        (Seeks::Slowly, Some(DIGEST), 0),
        (Seeks::Slowly, None, 0),
        (Seeks::Freely, None, 3),
    ] {
        let (source, asked) = endless(1 << 40, seeks, listing);
        let begun = Begun::new(Box::new(source)).unwrap();
        let found = Package::archive(begun, Depth::Front).unwrap();
        assert_eq!(found.listing.is_some(), listing.is_some());
        assert!(asked.bytes() < 8_192, "{seeks:?} {}", asked.bytes());
        assert!(asked.seeks.load(Ordering::SeqCst) <= seek, "{seeks:?}");
    }
}
