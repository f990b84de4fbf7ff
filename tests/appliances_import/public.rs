//! The public simulator, which is nobody's idea of ours: both of its servers take the same import.
//!
//! It keeps no bytes, ends no lease and removes nothing that was aborted, so that only what succeeds
//! is tried there.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use jumpvisor::hv::appliances::Appliances;
use jumpvisor::hv::machines::{Depth, Machines};

use crate::rig::{Files, changing, connected, descriptor, files, reading, setting, wanted};

/// A server that ends when this is dropped.
struct Public {
    child: Child,
    port: u16,
}

impl Public {
    fn start(model: &str) -> Public {
        let folder = std::env::var_os("JUMPVISOR_PEERS").map_or_else(
            || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peers/.build"),
            PathBuf::from,
        );
        let program = folder.join("vcsim");
        assert!(program.is_file(), "{} is missing: run tests/peers/install", program.display());
        let mut child = Command::new(program)
            .args(["-until-eof", "-no-tls", "-model", model, "-user", "root", "-password", "pw"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().trim_end_matches("/sdk").rsplit(':').next().unwrap().parse();
        Public { child, port: port.unwrap_or_else(|_| panic!("the simulator said `{line}`")) }
    }
}

impl Drop for Public {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let mut rest = Vec::new();
        if let Some(out) = self.child.stdout.as_mut() {
            let _ = out.read_to_end(&mut rest);
        }
        let _ = self.child.wait();
    }
}

#[test]
fn an_appliance_is_imported_to_both_of_its_servers() {
    for model in ["esx", "vpx"] {
        let public = Public::start(model);
        let host = connected(public.port, None, "pw");
        let (text, settings) = (descriptor(&["VM Network"]), [setting("hostname", "x", true)]);
        let wants = ["VM Network".to_owned()];
        let mut what = wanted(&text, "edge");
        (what.wants, what.settings, what.power_on) = (&wants, &settings, true);
        let done = host.import(&reading(), &what, Box::new(Files::of(files()).piped()));
        let done = done.and_then(|it| it.run(&changing()));
        let done = done.unwrap_or_else(|error| panic!("{model}: {error}"));
        assert!(done[0].starts_with("`edge` is made, id "), "{model}: {done:?}");
        assert_eq!(done.last().map(String::as_str), Some("powered on"), "{model}");
        let all = host.list(&reading(), Depth::Rows).unwrap();
        assert_eq!(all.iter().filter(|it| it.at.name == "edge").count(), 1, "{model}");
        jumpvisor::hv::Host::close(&host);
    }
}
