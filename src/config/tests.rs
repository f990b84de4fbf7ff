//! Whole configurations, good and bad, in a folder and an environment of their own.
//!
//! Surprising: the files are real ones in the temporary folder, since owners and modes count.

mod concentrator;
mod daemon;
mod guests;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::config::{
    Audit, Config, Environment, Family, Flags, Problem, Trust, environment, load, refusal,
};

const SECRET: &str = "hunter2";

/// A folder, variables and flags.
struct World {
    folder: PathBuf,
    variables: Vec<(OsString, OsString)>,
    flags: Flags,
    user: Option<u32>,
}

impl World {
    fn new(variables: &[(&str, &str)]) -> World {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("jumpvisor-config-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(folder.join("credentials")).unwrap();
        let user = Some(std::fs::metadata("/proc/self").unwrap().uid());
        let mut world = World { folder, variables: Vec::new(), flags: Flags::default(), user };
        variables.iter().for_each(|(name, value)| world.set(name, value));
        world
    }

    fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.into(), value.into()));
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.join(name);
        std::fs::write(&path, text).unwrap();
        mode(&path, 0o600);
        path
    }

    fn credential(&mut self, name: &str, text: &str) {
        self.file(&format!("credentials/{name}"), text);
        let folder = self.folder.join("credentials");
        self.set("CREDENTIALS_DIRECTORY", folder.to_str().unwrap());
    }

    fn load(&self) -> Result<Config, Vec<Problem>> {
        let system = self.folder.join("system");
        let variables = self.variables.clone();
        let environment = Environment::new(variables, &self.folder, system, self.user);
        assert!(!format!("{environment:?}").contains(SECRET));
        load(&self.flags, &environment)
    }

    fn good(&self) -> Config {
        self.load().unwrap_or_else(|problems| panic!("{}", refusal(&problems)))
    }

    /// The problems, the folder's path cut out.
    fn bad(&self) -> Vec<String> {
        let folder = format!("{}/", self.folder.display());
        match self.load() {
            Ok(config) => panic!("accepted: {config:?}"),
            Err(all) => all.iter().map(|it| it.to_string().replace(&folder, "")).collect(),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.folder).ok();
    }
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// `name=value from` of everything that was set.
fn found(config: &Config) -> Vec<String> {
    let set = config.found.iter().filter(|it| it.from != "default");
    set.map(|it| format!("{}={} {}", it.name, it.value_shown, it.from)).collect()
}

const ESX: [(&str, &str); 3] =
    [("ESXI_HOST", "esx0"), ("ESXI_USER", "root"), ("ESXI_PASS", SECRET)];

#[test]
fn nothing_configured_is_fine() {
    let config = World::new(&[]).good();
    assert!(config.servers.is_empty() && config.notes.is_empty() && found(&config).is_empty());
    assert_eq!(
        (config.read_only, config.no_destructive, config.audit_required),
        (false, false, false)
    );
    assert_eq!((config.max_concurrent_calls, config.max_answer_bytes), (16, 60_000));
    let seconds = [config.connect_timeout, config.idle_timeout, config.call_timeout];
    assert_eq!(seconds.map(|it| it.as_secs()), [10, 60, 300]);
    assert_eq!((config.audit, config.log_level), (vec![Audit::Stderr], log::LevelFilter::Info));
    assert_eq!((config.toolsets, config.proxy.is_none()), (None, true));
    assert!(config.found.iter().any(|it| it.name == "CALL_TIMEOUT" && it.value_shown == "300"));
}

#[test]
fn flags_beat_the_environment_and_that_beats_the_file() {
    let mut world = World::new(&[("LOG_LEVEL", "warning"), ("CALL_TIMEOUT", "5m")]);
    world.file(".env", "CALL_TIMEOUT=7\nIDLE_TIMEOUT=8s\nLOG_LEVEL=INFO\nAUDIT_LOG=./audit.log\n");
    world.flags.set.push(("LOG_LEVEL", "error".into()));
    world.flags.set.push(("READ_ONLY", "true".into()));
    let config = world.good();
    assert_eq!(config.log_level, log::LevelFilter::Error);
    assert_eq!((config.call_timeout.as_secs(), config.idle_timeout.as_secs()), (300, 8));
    assert_eq!(config.audit, [Audit::File("./audit.log".into())]);
    assert!(config.read_only);
    assert_eq!(
        found(&config),
        [
            "READ_ONLY=true flag --read-only",
            "AUDIT_LOG=./audit.log .env line 4",
            "LOG_LEVEL=error flag --log-level",
            "IDLE_TIMEOUT=8s .env line 2",
            "CALL_TIMEOUT=5m environment",
        ]
    );
}

#[test]
fn servers_inherit_and_vcenter_comes_last() {
    let mut world = World::new(&ESX);
    let pin = "ab".repeat(32);
    for (name, value) in [
        ("VCENTER_HOST", "https://vc.lab:8443/sdk"),
        ("VCENTER_USER", "admin@vsphere.local"),
        ("VCENTER_PASSWORD", SECRET),
        ("VCENTER_IGNORE_SSL", "yes"),
        ("VCENTER_CLUSTER", "c1"),
        ("ESXI_FINGERPRINT", &pin),
        ("ESXI_DATASTORE", "ds"),
        ("ESXI_HOST_1", "[fe80::2]:444"),
        ("ESXI_INSECURE_1", "false"),
        ("ESXI_DATASTORE_1", "ds one"),
        ("ESXI_HOST_2", "esx2"),
        ("ESXI_NAME_2", "lab"),
        ("ESXI_USER_2", "other"),
    ] {
        world.set(name, value);
    }
    let config = world.good();
    let shown: Vec<_> =
        config.servers.iter().map(|it| (it.name.as_str(), it.user.as_str())).collect();
    assert_eq!(
        shown,
        [
            ("esx0", "root"),
            ("[fe80::2]:444", "root"),
            ("lab", "other"),
            ("vc.lab:8443", "admin@vsphere.local")
        ]
    );
    let trust: Vec<_> = config.servers.iter().map(|it| it.trust.clone()).collect();
    let pinned = Trust::Fingerprint([0xab; 32]);
    assert_eq!(trust, [pinned.clone(), Trust::System, pinned, Trust::Insecure]);
    let stores: Vec<_> = config.servers.iter().map(|it| it.datastore.as_deref()).collect();
    assert_eq!(stores, [Some("ds"), Some("ds one"), Some("ds"), None]);
    assert_eq!(config.servers[3].cluster.as_deref(), Some("c1"));
    assert_eq!(config.servers[3].family, Family::Vcenter);
    assert!(config.servers.iter().all(|it| it.password.reveal() == SECRET));
    let all = found(&config);
    assert!(all.contains(&"ESXI_PASS=*** environment".to_owned()));
    assert!(all.contains(&"VCENTER_INSECURE=yes environment".to_owned()));
    assert!(!format!("{config:?}").contains(SECRET));
}

#[test]
fn servers_may_begin_with_number_one() {
    let world = World::new(&[("ESXI_HOST_1", "a"), ("ESXI_USER", "u"), ("ESXI_PASS", "p")]);
    assert_eq!(world.good().servers.len(), 1);
}

#[test]
fn secrets_come_from_files_and_credentials() {
    let mut world = World::new(&[("ESXI_HOST", "a"), ("ESXI_USER", "u"), ("ESXI_HOST_1", "b")]);
    let path = world.file("pass", format!("{SECRET}\r\n"));
    world.set("ESXI_PASS_1_FILE", path.to_str().unwrap());
    world.credential("esxi_pass", &format!("{SECRET} \n"));
    world.credential("someone_elses", "x");
    let config = world.good();
    assert_eq!(config.servers[0].password.reveal(), format!("{SECRET} "));
    assert_eq!(config.servers[1].password.reveal(), SECRET);
    let all = found(&config);
    assert!(all.contains(&"ESXI_PASS=*** credential esxi_pass".to_owned()));
    assert!(all.contains(&"ESXI_PASS_1=*** environment, ESXI_PASS_1_FILE".to_owned()));
}

#[test]
fn a_secret_comes_in_one_way() {
    let mut world = World::new(&ESX);
    world.set("ESXI_PASS_FILE", "/x");
    assert_eq!(
        world.bad(),
        ["ESXI_PASS_FILE: `ESXI_PASS` is set too (environment), keep one of the two"]
    );
    let mut world = World::new(&ESX);
    world.credential("esxi_pass", SECRET);
    assert_eq!(
        world.bad(),
        ["credential esxi_pass: `ESXI_PASS` is set too (environment), keep one of the two"]
    );
}

#[test]
fn secret_files_are_bounded_and_never_shown() {
    for (content, reason) in [
        (vec![b'x'; 64 * 1024 + 1], "is larger than 64 KiB"),
        (vec![0xff], "is not UTF-8"),
        (b"\n".to_vec(), "is empty"),
        (b"hunter2\nhunter2\n".to_vec(), "holds more than one line, or a control character"),
    ] {
        let mut world = World::new(&ESX[..2]);
        let path = world.file("pass", content);
        world.set("ESXI_PASS_SECRET_PATH", path.to_str().unwrap());
        let wanted = format!("ESXI_PASS_SECRET_PATH: the file that it names {reason}");
        assert_eq!(world.bad(), [wanted]);
    }
    let mut world = World::new(&ESX[..2]);
    world.set("ESXI_PASS_FILE", SECRET);
    assert_eq!(world.bad(), ["ESXI_PASS_FILE: the file that it names does not exist"]);
}

#[test]
fn a_file_redirects_no_password() {
    let text = "from environment, but `ESXI_HOST` from .env line 1: address, user, password and \
                TLS settings of one server come from one source";
    let world = World::new(&ESX[1..]);
    world.file(".env", "ESXI_HOST=evil\n");
    assert_eq!(world.bad(), [format!("ESXI_PASS: {text}"), format!("ESXI_USER: {text}")]);

    let world = World::new(&ESX);
    world.file(".env", "ESXI_HOST_1=evil\nESXI_USER_1=u\n");
    let one = text.replace("ESXI_HOST", "ESXI_HOST_1");
    assert_eq!(world.bad(), [format!("ESXI_PASS: {one}")]);

    let world = World::new(&ESX);
    world.file(".env", "ESXI_INSECURE=true\n");
    assert!(world.bad()[0].starts_with(".env line 1: ESXI_INSECURE: from .env line 1, but"));

    let mut world = World::new(&[]);
    world.credential("esxi_pass", SECRET);
    world.file(".env", "ESXI_HOST=evil\nESXI_USER=u\n");
    assert!(world.bad()[0].starts_with("credential esxi_pass: from credential esxi_pass, but"));
}

#[test]
fn whole_families_override_and_defaults_mix() {
    let world = World::new(&ESX);
    world.file(
        ".env",
        "ESXI_HOST=x\nESXI_USER=y\nESXI_PASS=z\nESXI_INSECURE=1\nESXI_DATASTORE=ds\n\
         ESXI_HOST_1=b\n",
    );
    let config = world.good();
    let shown: Vec<_> = config
        .servers
        .iter()
        .map(|it| (it.name.as_str(), it.user.as_str(), it.password.reveal(), it.trust.clone()))
        .collect();
    assert_eq!(shown, [("esx0", "root", SECRET, Trust::System), ("b", "y", "z", Trust::Insecure)]);
    assert_eq!(config.servers[0].datastore.as_deref(), Some("ds"));
}

#[test]
fn a_credential_joins_the_file_of_the_system() {
    let mut world = World::new(&[]);
    world.credential("esxi_pass", SECRET);
    world.file("system", "ESXI_HOST=a\nESXI_USER=u\n");
    world.flags.serve = true;
    assert_eq!(world.good().servers.len(), 1);
}

#[test]
fn the_local_file_is_read_only_if_it_is_ours() {
    let mut world = World::new(&[]);
    let local = world.file(".env", "READ_ONLY=true\n");
    world.file("system", "NO_DESTRUCTIVE=true\n");
    let read = |world: &World| {
        let config = world.good();
        let notes: Vec<_> = config.notes.iter().map(Problem::to_string).collect();
        (config.read_only, config.no_destructive, notes.join("|"))
    };
    assert_eq!(read(&world), (true, false, String::new()));
    for bad in [0o620, 0o602] {
        mode(&local, bad);
        let note = ".env: skipped, it can be written by others (chmod go-w .env)";
        assert_eq!(read(&world), (false, true, note.to_owned()));
    }
    mode(&local, 0o600);
    world.user = world.user.map(|user| user + 1);
    assert_eq!(read(&world).2, ".env: skipped, it belongs to another user");
    world.user = world.user.map(|user| user - 1);
    world.flags.serve = true;
    assert_eq!(read(&world), (false, true, String::new()));
    world.flags.serve = false;
    world.file(".env", "DATABASE_URL=x\nLOG_LEVEL=trace\nOAUTH_CLIENT_ID=1\n");
    let note = ".env: skipped, it sets nothing of this program alone";
    assert_eq!(read(&world), (false, true, note.to_owned()));
    world.file(".env", "EXSI_HOST=x\n");
    assert_eq!(
        world.bad(),
        [".env line 1: `EXSI_HOST` is not an option, did you mean `ESXI_HOST`?"]
    );
    world.flags.config = Some("other".into());
    assert_eq!(world.bad(), ["--config: `other` does not exist"]);
    world.file("other", "TOOLSETS=vm,power\n");
    assert_eq!(world.good().toolsets.as_deref(), Some("vm,power"));
    assert_eq!(found(&world.good()), ["TOOLSETS=vm,power other line 1"]);
}

#[test]
fn audit_lines_go_to_several_sinks_and_the_log_may_be_json() {
    let config = World::new(&[("AUDIT_LOG", "Journal, /a b"), ("LOG_FORMAT", "JSON")]).good();
    assert!(config.log_json && config.audit == [Audit::Journal, Audit::File("/a b".into())]);
}

#[test]
fn every_problem_is_told_at_once() {
    let mut world = World::new(&[
        ("CALL_TIMEOUT", "abc"),
        ("ESXI_FLAVOUR", "x"),
        ("HTTPS_PROXY", "http://a:1"),
        ("https_proxy", "http://b:1"),
        ("VCENTER_HOST", "http://vc"),
        ("VCENTER_INSECURE", "1"),
        ("VCENTER_FINGERPRINT", &"ab".repeat(20)),
        ("UNKNOWN", "x"),
    ]);
    world.variables.push(("LOG_LEVEL".into(), OsString::from_vec(vec![0xff])));
    world.file(
        ".env",
        "ESXI_HOST=a\nESXI_USER=u\nESXI_PASS=hunter2\nESXI_INSECUR=true\nESXI_HOST_1=A\n\
         ESXI_HOST_3=all\nESXI_NAME_7=x\nESXI_CA_FILE_1=none.pem\nESXI_HOST=b\nwhatever\n\
         ESXI_PASS_9=hunter2\naGVsbG8=\nDATABASE=1\n",
    );
    let wanted = [
        "environment: `ESXI_FLAVOUR` is not an option",
        "https_proxy: `HTTPS_PROXY` means the same and says otherwise, keep one",
        "LOG_LEVEL: not UTF-8",
        ".env line 10: no `=` in it, a line is NAME=value",
        ".env line 4: `ESXI_INSECUR` is not an option, did you mean `ESXI_INSECURE`?",
        ".env line 9: ESXI_HOST: is set in line 1 already, keep one",
        ".env line 12: the name before `=` is not an option",
        ".env line 13: `DATABASE` is not an option",
        "CALL_TIMEOUT: `abc` is not a number of seconds, for instance 300 or 5m",
        "VCENTER_FINGERPRINT: a SHA-1 fingerprint is not enough, SHA-256 is needed; `jumpvisor \
         check` shows the one of the server",
        "VCENTER_HOST: http:// would send the password in clear text, write https:// or leave it \
         out",
        ".env line 6: ESXI_HOST_3: is set, but `ESXI_HOST_2` is not: number the hosts without a \
         gap",
        ".env line 7: ESXI_NAME_7: is set, but `ESXI_HOST_7` is not",
        ".env line 11: ESXI_PASS_9: is set, but `ESXI_HOST_9` is not",
        ".env line 5: ESXI_HOST_1: `A` is the name of `ESXI_HOST` already, give each server a \
         name of its own (`ESXI_NAME`, `ESXI_NAME_1`, ...)",
        ".env line 8: ESXI_CA_FILE_1: `none.pem` does not exist",
        "VCENTER_USER: is not set, `VCENTER_HOST` wants it",
        "VCENTER_PASSWORD: is not set, `VCENTER_HOST` wants it",
        "VCENTER_FINGERPRINT: cannot go with `VCENTER_INSECURE`, keep one of them",
    ];
    let mut bad = world.bad();
    bad.sort();
    let mut wanted: Vec<String> = wanted.map(str::to_owned).to_vec();
    wanted.sort();
    assert_eq!(bad, wanted);
    let error = refusal(&world.load().unwrap_err());
    assert_eq!(error.kind(), crate::error::Kind::Usage);
    assert!(error.to_string().starts_with("configuration: 19 problems: "));
}

#[test]
fn a_password_shows_nowhere() {
    let mut places = vec![
        ("ESXI_HOST".to_owned(), format!("https://root:{SECRET}@esx0")),
        ("HTTPS_PROXY".to_owned(), format!("socks5://me:{SECRET}@proxy")),
        ("OAUTH_ISSUER_URL".to_owned(), format!("https://me:{SECRET}@id/")),
    ];
    for name in ["ESXI_PASS", "VCENTER_PASSWORD", "OAUTH_CLIENT_SECRET", "GUEST_CRED_a_PASSWORD"] {
        for (suffix, value) in [
            ("", SECRET.to_owned()),
            ("", format!("{SECRET}\n\0")),
            ("_FILE", SECRET.to_owned()),
            ("_SECRET_PATH", format!("/{SECRET}")),
        ] {
            places.push((format!("{name}{suffix}"), value));
        }
    }
    for (name, value) in &places {
        for in_file in [false, true] {
            let mut world = World::new(&[("ESXI_HOST", "a"), ("VCENTER_HOST", "b")]);
            world.variables.retain(|(other, _)| name != other.to_str().unwrap());
            if in_file {
                let text = format!("{name}='{value}'\n{SECRET}\n{SECRET}=\nX {SECRET}=1\nESXI_X=1");
                world.file(".env", text);
            } else {
                world.set(name, value);
            }
            world.credential("esxi_pass", &format!("{SECRET}\n{SECRET}"));
            let problems = world.load().unwrap_err();
            let shown = format!("{problems:?} {} {:?}", refusal(&problems), refusal(&problems));
            assert!(!shown.contains(SECRET), "{name}: {shown}");
        }
    }
    let mut world = World::new(&ESX);
    world.set("HTTPS_PROXY", &format!("http://me:{SECRET}@proxy:3128"));
    let config = world.good();
    assert!(!format!("{config:?}").contains(SECRET));
    assert!(found(&config).contains(&"HTTPS_PROXY=http://***@proxy:3128 environment".to_owned()));
    assert!(config.proxy.is_some_and(|it| it.reveal().contains(SECRET)));
}

#[test]
fn hostile_files_end_in_a_bounded_answer() {
    let mut world = World::new(&[]);
    world.flags.config = Some("f".into());
    world.file("f", vec![b'A'; environment::LARGEST_ENV_FILE + 1]);
    assert_eq!(world.bad(), ["--config: `f` is larger than 1 MiB"]);
    world.file("f", (0..10_000).map(|i| format!("ESXI_X{i}=1\n")).collect::<String>());
    assert_eq!(world.bad().len(), 101);
    world.file("f", (0..1_000).map(|i| format!("GUEST_CRED_{i}_USER=1\n")).collect::<String>());
    assert_eq!(world.bad().last().map(String::as_str), Some("and 900 more"));
    world.file("f", b"READ_ONLY=true\nTOOLSETS=\xff\nLOG_LEVEL=IN\0FO\n\xff\xff=1\nAUDIT_LOG=\"x");
    assert_eq!(
        world.bad(),
        [
            "f line 4: a name before `=` holds only letters, digits and `_`",
            "f line 2: TOOLSETS: not UTF-8",
            "f line 3: LOG_LEVEL: holds a NUL byte",
            "f line 5: AUDIT_LOG: the quote that opens here is never closed",
        ]
    );
    world.file("f", format!("TOOLSETS={}", "x\\\n".repeat(200_000)));
    assert_eq!(world.bad(), ["f line 1: TOOLSETS: longer than 64 KiB"]);
    world.flags.config = Some("credentials".into());
    assert_eq!(world.bad(), ["--config: `credentials` is a folder"]);
}

#[test]
fn many_servers_are_fine() {
    let mut world = World::new(&ESX);
    (1..=256).for_each(|i| world.set(&format!("ESXI_HOST_{i}"), &format!("esx{i}")));
    assert_eq!(world.good().servers.len(), 257);
    world.set("ESXI_HOST_257", "x");
    let text =
        "environment: `ESXI_HOST_257` is not an option, further hosts have the numbers 1 to 256";
    assert_eq!(world.bad(), [text]);
}

#[test]
fn the_process_has_an_environment() {
    assert_eq!(Environment::process().system_file(), Path::new("/etc/jumpvisor/env"));
}
