//! Broken and hostile input, always the same: goldens and written answers, mutated by fixed seeds.
//!
//! Whatever is fed in, there is an answer or an error, soon and in little memory; never a panic.
//! The functions in `targets.rs` are shared with `tests/fuzz`, which looks further and longer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod appliances;
mod consoles;
mod shapes;
mod signin;
mod targets;
mod urls;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How many times the work for the dearest document that is as it should be may go into a mutated one.
const WIDE: u32 = 100;

/// Work that is too little to be compared.
const LITTLE: Duration = Duration::from_millis(20);

/// Most memory that this process may ever have needed.
const MOST_MEMORY: usize = 300 << 20;

/// What tends to matter somewhere.
#[rustfmt::skip]
const WORDS: &[&str] = &[
    "<", ">", "</", "/>", "&", "&lt;", "&#0;", "&#x110000;", "<!--", "-->", "<![CDATA[", "]]>",
    "<!DOCTYPE a [<!ENTITY b \"c\">]>", "<?", "?>", "\"", "'", "=", "\0", "\u{feff}", "\u{202e}",
    "9223372036854775807", "-9223372036854775808", "99999999999999999999", "-1", "0", "1e400", "NaN",
    "0.5", "true", "null", "{", "}", "[", "]", ":", ",", "\\u0000", "\\ud800", "\\", "\n", "\r", "#",
    " xsi:nil=\"true\"", " xsi:type=\"VirtualDisk\"", " xsi:type=\"xsd:long\"",
    " xsi:type=\"ArrayOfInt\"", " xsi:type=\"NewInTwelve\"", " xsi:type=\"TaskInfo\"",
    " type=\"VirtualMachine\"", " xmlns=\"urn:other\"", "<objects>", "</objects>", "<returnval>",
    "<Fault>", "</e:Body>", "ESXI_HOST=", "ESXI_PASS_1=", "export ", "VCENTER_HOST=a:0\n",
    "\r\n", "\r\n\r\n", "Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n",
    "HTTP/1.0", ";", "%", ".", "=", "eyJhbGciOiJub25lIn0", "\"alg\":\"HS256\"", "\"kid\":", "@a|b",
];

struct Random(u64);

impl Random {
    fn seeded(seed: u64) -> Random {
        Random(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

/// A few changes of the kinds that parsers trip over.
fn mutated(document: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = document.to_vec();
    for _ in 0..1 + random.below(4) {
        let (a, b) = (random.below(bytes.len() + 1), random.below(bytes.len() + 1));
        let (from, until) = (a.min(b), a.max(b).min(a.min(b) + 200));
        match random.below(8) {
            0 if !bytes.is_empty() => {
                let at = from.min(bytes.len() - 1);
                bytes[at] ^= 1 << random.below(8);
            }
            1 => drop(bytes.drain(from..until)),
            2 => {
                let copy = bytes[from..until].repeat(1 + random.below(3));
                bytes.splice(until..until, copy).for_each(drop);
            }
            3 if random.below(4) == 0 => bytes.truncate(until),
            4 | 5 => {
                let word = WORDS[random.below(WORDS.len())].bytes();
                bytes.splice(from..from, word).for_each(drop);
            }
            // The text between two tags, where numbers and enums stand.
            _ => {
                let Some(start) = bytes[from..].iter().position(|it| *it == b'>') else { continue };
                let start = from + start + 1;
                let end = bytes[start..].iter().position(|it| *it == b'<');
                let word = WORDS[random.below(WORDS.len())].bytes();
                bytes.splice(start..start + end.unwrap_or(0), word).for_each(drop);
            }
        }
    }
    bytes
}

/// What this thread has worked so far. It stands still while others have the processor.
fn worked() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.try_into().unwrap(), now.tv_nsec.try_into().unwrap())
}

/// The work that a target puts into an input.
fn work(what: &str, bytes: &[u8], target: fn(&[u8])) -> Duration {
    let before = worked();
    let ended = catch_unwind(AssertUnwindSafe(|| target(bytes)));
    assert!(ended.is_ok(), "{what}: {}", String::from_utf8_lossy(bytes));
    worked() - before
}

/// Feeds `count` mutations of the documents, and the documents themselves, to a target.
fn feed(documents: &[(String, Vec<u8>)], count: u64, target: fn(&[u8])) {
    let of_whole = documents.iter().map(|(name, document)| work(name, document, target));
    let bound = WIDE * of_whole.max().unwrap().max(LITTLE);
    // For a longer look: ROUNDS=100 cargo test --release --test hostile
    let rounds = std::env::var("ROUNDS").ok().and_then(|it| it.parse().ok()).unwrap_or(1);
    let count: u64 = count * rounds;
    let mut dearest = (Duration::ZERO, String::new());
    for seed in 0..count {
        let mut random = Random::seeded(seed);
        let (name, document) = &documents[random.below(documents.len())];
        let what = format!("{name}, seed {seed}");
        let spent = work(&what, &mutated(document, &mut random), target);
        dearest = dearest.max((spent, what));
    }
    println!("{count}: the dearest is {dearest:?} of {bound:?}");
    assert!(dearest.0 < bound, "{dearest:?} is more than {bound:?}");
    within_memory();
}

fn within_memory() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak = line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10;
    assert!(peak < MOST_MEMORY, "{} MB were needed", peak >> 20);
}

fn folder(below: &str) -> Vec<(String, Vec<u8>)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(below);
    let mut all: Vec<(String, Vec<u8>)> = fs::read_dir(&root)
        .expect(below)
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into(), fs::read(&path).unwrap()))
        .collect();
    all.sort();
    assert!(!all.is_empty(), "{below} is empty");
    all
}

/// The written answers; `as_method` is what stands for `Any` in their names.
fn answers(as_method: &str) -> Vec<(String, Vec<u8>)> {
    let put = |bytes: Vec<u8>| {
        String::from_utf8(bytes).unwrap().replace("AnyResponse", as_method).into_bytes()
    };
    folder("hostile/answers").into_iter().map(|(name, it)| (name, put(it))).collect()
}

#[test]
fn answers_to_our_calls() {
    feed(&answers("RetrievePropertiesExResponse"), 800, targets::soap_answer);
}

#[test]
fn answers_that_are_cut_while_they_arrive() {
    feed(&answers("RetrievePropertiesExResponse"), 300, targets::split);
}

#[test]
fn objects_that_are_read_and_sent_again() {
    let goldens = folder("golden/soap");
    assert_eq!(goldens.len(), 53);
    feed(&goldens, 2000, targets::soap_request);
}

#[test]
fn inventories_below_every_tool() {
    feed(&answers("AnyResponse"), 100, targets::inventory);
}

#[test]
fn json_from_clients() {
    let written = [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_vms","arguments":{}}}"#,
        r#"{"name":"web","cpu":"4","memory_mb":4096,"order":["disk","cdrom"],"power_on":true}"#,
        r#"{"names":["web*","db"],"snapshot_name":"before é \"update\"","memory":null,"x":1.5e3}"#,
        r#"[[[[1,-2,3.25,"\u00e9\ud83d\ude00\n",{"a":{"b":[]}}]]],false]"#,
    ];
    let documents: Vec<_> =
        written.iter().map(|it| (it[..20].to_owned(), it.as_bytes().to_vec())).collect();
    feed(&documents, 4000, targets::json);
}

#[test]
fn urls_and_links() {
    let written = [
        "https://me:p%40ss@files.example.com:8443/a/b/x.ova?sig=a%2Bb&x=[1]#top\n../c/disk-1.vmdk",
        "http://[2001:db8::1]:80/a b/\u{e4}.ovf\n//other.lab/q?x",
        "http://10.0.0.5/../x?\nhttps://u@10.0.0.5:443/y",
        "HTTP://Host.:/\n?q",
    ];
    let documents: Vec<_> =
        written.iter().map(|it| (it[..12].to_owned(), it.as_bytes().to_vec())).collect();
    feed(&documents, 20_000, urls::url);
}

/// An archive with a descriptor, a manifest, and names that need headers of their own.
fn archives() -> Vec<(String, Vec<u8>)> {
    let ovf = "<Envelope xmlns:o='u'><References><File o:id='f' o:href='d.vmdk' o:size='9'/></References>\
               <DiskSection><Disk o:diskId='d' o:fileRef='f' o:capacity='1' \
               o:capacityAllocationUnits='byte * 2^30'/></DiskSection><VirtualSystem o:id='x'>\
               <ProductSection o:class='c'><Property o:key='k' o:type='string' o:value='v'/>\
               </ProductSection></VirtualSystem></Envelope>";
    let mf = format!("SHA256(x.ovf)= {}\nSHA1(d (1).vmdk)= {}\n", "ab".repeat(32), "cd".repeat(20));
    let file = |name: &str, kind: u8, data: &[u8]| {
        let size = u64::try_from(data.len()).unwrap();
        let mut block = jumpvisor::ova::write::header(name, size, 0).unwrap();
        let sum: u32 = block.iter().map(|it| u32::from(*it)).sum::<u32>() + 8 * 32
            - block[148..156].iter().map(|it| u32::from(*it)).sum::<u32>()
            + u32::from(kind)
            - u32::from(b'0');
        block[156] = kind;
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let mut all = block.to_vec();
        all.extend(data);
        all.resize(all.len().next_multiple_of(512), 0);
        all
    };
    let plain = [file("x.ovf", b'0', ovf.as_bytes()), file("x.mf", b'0', mf.as_bytes())].concat();
    let gnu = [file("@", b'L', &[b'n'; 200]), plain.clone(), vec![0; 1024]].concat();
    let pax = [file("@", b'x', b"15 path=long.x\n"), file("@", b'g', b""), plain.clone()].concat();
    let odd = [plain.clone(), file("folder", b'5', b""), file("l", b'1', b"")].concat();
    let all = [("plain", plain), ("gnu", gnu), ("pax", pax), ("odd", odd)];
    let mut all: Vec<_> = all.into_iter().map(|(name, it)| (name.to_owned(), it)).collect();
    all.push(("descriptor".to_owned(), ovf.as_bytes().to_vec()));
    all.push(("manifest".to_owned(), mf.into_bytes()));
    all
}

#[test]
fn appliances_of_hostile_vendors() {
    feed(&archives(), 4000, appliances::archive);
    feed(&archives(), 2000, appliances::descriptor);
    feed(&archives(), 2000, appliances::manifest);
}

/// Sessions with much in them; the first asks to be served, says who it is and moves.
fn consoles() -> Vec<(String, Vec<u8>)> {
    let machine = [
        &b"\xff\xfb\x25\xff\xfd\x00\xff\xfb\x00\xff\xfb\xe8\xff\xfa\xe8\x00\x00\x01\xff\xf0"[..],
        b"\xff\xfa\xe8\x46SvSPC.py\xff\xf0\xff\xfa\xe8\x5001 23 45 67 89 ab cd ef-fe dc ba 98 00 \xff\xf0",
        b"\xff\xfa\xe8\x52w\xff\xffeb\xff\xf0\xff\xfa\xe8\x02\x57\xff\xf0\xff\xfa\xe8\xc8?\xff\xf0data\xff\xff",
        b"\xff\xfa\xe8\x28seq\xff\xf0\xff\xfa\xe8\x2cseqsecret\xff\xf0\xff\xfa\xe8\x2eseq\xff\xf0",
    ];
    let person =
        b"\xff\xfd\x03\xff\xfb\x18\xff\xfb\x1f\xff\xfa\x1f\x00\x50\x00\x18\xff\xf0ls\r\x00\
        \xff\xf4\xff\xfd\x06\xff\xf6\xff\xf3\xff\xfd\x2c\xff\xfc\x2c\r\n\xff\xfd\x00\r\n\xff";
    let screen = b"\x1b[2J\x1b[1;1HGRUB\x1b[3;5H\x1b[7m a \x1b[0m\x1b[K 10%\r 99%\x1b[2K\rok\r\nx\x08 \x08\
        \x1b]0;t\x07\x1b(B\x1b[3@\x1b[2P\x1b[4G\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\xff\0\x07\r\nlogin: ";
    let all =
        [("machine", machine.concat()), ("person", person.to_vec()), ("screen", screen.to_vec())];
    all.into_iter().map(|(name, it)| (name.to_owned(), it)).collect()
}

#[test]
fn consoles_and_their_peers() {
    feed(&consoles(), 3000, consoles::telnet);
    feed(&consoles(), 3000, consoles::proxy);
    feed(&consoles(), 3000, consoles::console);
}

#[test]
fn tokens_and_keys_of_strangers() {
    let claims = r#"{"iss":"joe","aud":["https://A/mcp/","c"],"exp":9999999999,"sub":"u","nbf":1.5,
        "realm_access":{"roles":["x"]},"scope":"a b","preferred_username":"ryan"}"#;
    let mut tokens: Vec<_> =
        signin::TOKENS.iter().map(|it| (it[..6].to_owned(), it.as_bytes().to_vec())).collect();
    tokens.push(("claims".to_owned(), claims.as_bytes().to_vec()));
    feed(&tokens, 4000, signin::token);
    let digest = "ab".repeat(32);
    let place = r#"{"issuer":"https://id.example","jwks_uri":"https://id.example/keys"}"#;
    let keys = [
        ("set", signin::KEYS.to_owned()),
        ("place", place.to_owned()),
        ("file", format!("# ours\nbackup:readers,night:{digest}\nci:lab:{}\n", "cd".repeat(32))),
        ("groups", "readers=read,lab=vm@esx1|esx2,cn=x=full_admin".to_owned()),
    ];
    let keys = keys.map(|(name, it)| (name.to_owned(), it.into_bytes()));
    feed(&keys, 2000, signin::keys);
}

#[test]
fn arguments_of_any_method() {
    let written = [
        r#"{"spec":{"name":"web","numCPUs":4,"memoryMB":4096,"changeVersion":"x","extraConfig":[{"key":"a","value":{"_typeName":"long","_value":7}},{"key":"b","value":"c"}],"bootOptions":{"bootOrder":[{"_typeName":"VirtualMachineBootOptionsBootableDiskDevice","deviceKey":2000}]}}}"#,
        r#"{"spec":{"deviceChange":[{"operation":"add","device":{"_typeName":"VirtualDisk","key":-1,"controllerKey":1000,"capacityInKB":1048576,"backing":{"_typeName":"VirtualDiskFlatVer2BackingInfo","fileName":"[a] b/c.vmdk","diskMode":"persistent","datastore":{"type":"Datastore","value":"d-1"}}}}]}}"#,
        r#"{"folder":"Folder:group-v3","name":"new","spec":{"location":{"pool":{"_typeName":"ManagedObjectReference","type":"ResourcePool","value":"r"}},"powerOn":false,"template":true}}"#,
        r#"{"changedValue":[{"key":"x","value":{"_typeName":"ArrayOfInt","_value":[1,2]}},{"key":"y","value":[true,false]},{"key":"z","value":1.5}]}"#,
        r#"{"entity":"Folder:f","spec":{"name":"n","description":"","enabled":true,"expression":{"_typeName":"OrAlarmExpression","expression":[{"_typeName":"StateAlarmExpression","operator":"isEqual","type":"VirtualMachine","statePath":"runtime.powerState","red":"poweredOff"}]}}}"#,
    ];
    let documents: Vec<_> =
        written.iter().map(|it| (it[..20].to_owned(), it.as_bytes().to_vec())).collect();
    feed(&documents, 600, targets::api_arguments);
}

#[test]
fn env_files() {
    let written = [
        "ESXI_HOST=esx1.example.com\nESXI_USER=root\nESXI_PASS='hunter2 # no'\n# comment\n",
        "export VCENTER_HOST=\"vc:8443\"\nVCENTER_USER=a@b\nVCENTER_PASSWORD=x\\n\"y\nLOG_LEVEL=DEBUG\n",
        "ESXI_HOST_1=a\r\nESXI_USER_1=b\r\nESXI_PASS_1=c\r\nESXI_HOST_2=d\r\nCALL_TIMEOUT=5m\r\n",
        "ESXI_HOST=[::1]:443\nESXI_FINGERPRINT=AA:BB\nREAD_ONLY=yes\nMAX_ANSWER_BYTES=99999999999\n",
    ];
    let documents: Vec<_> =
        written.iter().map(|it| (it[..12].to_owned(), it.as_bytes().to_vec())).collect();
    feed(&documents, 800, targets::envfile);
}

/// Connections as clients open them, each with more than one request where that may be.
const CONNECTIONS: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n\
     HEAD /b?c=%20d+e HTTP/1.1\r\nHost: a\r\nRange: bytes=2-5\r\n\r\n",
    "\r\nPOST /sdk HTTP/1.1\r\nHost: esx:443\r\nContent-Length: 11\r\n\
     SOAPAction: \"urn:vim25/9.1\"\r\n\r\n<a>body</a>GET",
    "PUT /folder/x HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding: chunked\r\n\
     Expect: 100-continue\r\n\r\n\
     5;a=b\r\nhello\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\nGET / HTTP/1.0\r\n\r\n",
    "GET http://a/b HTTP/1.1\r\nHost: a\r\nConnection: close, te\r\nCookie: x=\"y\"\r\n\r\n\
     PRI * HTTP/2.0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\
     Transfer-Encoding: chunked\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
     1\r\nabc\r\n0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
    "\u{16}\u{3}\u{1}\u{2}",
];

#[test]
fn connections_cut_anywhere() {
    for text in CONNECTIONS {
        let whole = targets::hear([text.as_bytes()].into_iter());
        for at in 0..=text.len() {
            let (left, right) = text.as_bytes().split_at(at);
            let cut = targets::hear([left, right].into_iter());
            assert!(cut == whole, "{text:?} cut at {at} gives something else");
        }
    }
    let heard = |at: usize| targets::hear([CONNECTIONS[at].as_bytes()].into_iter());
    let shape = |at: usize| {
        let heard = heard(at);
        (heard.requests.len(), heard.refused.map(|it| it.status), heard.rest)
    };
    let shapes: Vec<_> = (0..CONNECTIONS.len()).map(shape).collect();
    let bad = |requests| (requests, Some(400), 0);
    let expected = [
        (2, None, 0),
        (1, None, 3),
        (2, None, 0),
        (1, Some(505), 0),
        bad(0),
        bad(1),
        bad(0),
        bad(0),
    ];
    assert_eq!(shapes, expected);
    assert_eq!(heard(1).requests[0].1, b"<a>body</a>");
    assert_eq!(heard(2).requests[0].1, b"hello0123456789");
}

#[test]
fn connections_of_hostile_clients() {
    let documents: Vec<_> =
        CONNECTIONS.iter().map(|it| (it.to_string(), it.as_bytes().to_vec())).collect();
    feed(&documents, 4000, targets::http_requests);
}
