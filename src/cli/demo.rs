//! Simulated servers: `--demo` in this process, `simulate` on a port.
//!
//! Both are the same worlds; only `simulate` opens a socket. Surprising: the second simulated server,
//! a vCenter, is made when somebody first calls it, so that the demo starts at once.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use argh::FromArgs;

use crate::cli::print;
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::hv::fleet::Server;
use crate::sim;
use crate::sim::Settings;
use crate::sim::identity::Identity;
use crate::sim::serve;
use crate::threads::Words;

/// What of a simulated server can be chosen on the command line.
pub struct Choices<'a> {
    /// A file that keeps the state.
    pub state: Option<&'a Path>,
    /// A file of rules for what goes wrong.
    pub faults: Option<&'a Path>,
    /// Where a jumping clock starts.
    pub clock: Option<&'a str>,
}

impl Choices<'_> {
    fn settings(&self, vcenter: bool) -> Result<Settings> {
        Ok(Settings {
            vcenter,
            state: self.state.map(Path::to_path_buf),
            rules: self.faults.map(read).transpose()?,
            clock: self.clock.map(str::to_owned),
            ..Settings::default()
        })
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| {
        Error::usage(format!("`{}` cannot be read: {error}", path.display()))
            .hint("Give the path of a file with rules as JSON")
    })
}

/// The simulated servers of `--demo`: an ESXi host and a vCenter.
pub fn servers(config: &Config, choices: &Choices<'_>) -> Result<Vec<Server>> {
    let mut all = Vec::new();
    for (name, kind, vcenter) in [("esxi01", "esxi", false), ("vcenter01", "vcenter", true)] {
        let mut settings = choices.settings(vcenter)?;
        if let (true, Some(path)) = (vcenter, &settings.state) {
            // The two worlds have nothing in common but their names' beginning.
            let mut name = path.clone().into_os_string();
            name.push("-vcenter");
            settings.state = Some(name.into());
        }
        let service = sim::open(settings)?;
        all.push(crate::app::simulated(name, kind, service, config));
    }
    Ok(all)
}

/// Simulate an ESXi host or a vCenter on a port, over TLS, for any vSphere client. User root (or
/// administrator@vsphere.local) with password secret; viewer with password secret may only look.
#[derive(FromArgs)]
#[argh(subcommand, name = "simulate")]
pub struct SimulateCommand {
    /// address and port to listen on; port 0 takes a free one (default 127.0.0.1:0)
    #[argh(option, arg_name = "address", default = "SocketAddr::from(([127, 0, 0, 1], 0))")]
    listen: SocketAddr,
    /// so many plain VMs instead of the believable dozen
    #[argh(option, arg_name = "number")]
    vms: Option<u32>,
    /// esxi or vcenter (default esxi)
    #[argh(option, arg_name = "kind", default = "\"esxi\".to_owned()")]
    kind: String,
    /// newest API version that it speaks (default 8.0.3.0)
    #[argh(option, arg_name = "version")]
    api_version: Option<String>,
    /// file that the certificate is written to, for clients that want one
    #[argh(option, arg_name = "file")]
    certificate: Option<PathBuf>,
    /// serve plain http, for clients that cannot be told to trust a certificate
    #[argh(switch)]
    plain: bool,
}

/// Serves until a signal comes.
pub fn simulate(command: &SimulateCommand, choices: &Choices<'_>) -> Result<u8> {
    let vcenter = match command.kind.as_str() {
        "esxi" => false,
        "vcenter" => true,
        other => {
            return Err(Error::usage(format!("--kind `{other}` is neither esxi nor vcenter")));
        }
    };
    let mut settings = choices.settings(vcenter)?;
    settings.machines = command.vms;
    settings.version.clone_from(&command.api_version);
    let listener = TcpListener::bind(command.listen).map_err(|error| {
        Error::new(Kind::Network, format!("cannot listen on {}: {error}", command.listen))
            .hint("Choose another port with --listen, or port 0 for a free one")
    })?;
    let own = listener.local_addr().ok().filter(|it| !it.ip().is_unspecified());
    settings.address = own.map(|it| it.to_string());
    let service = sim::open(settings)?;
    let identity = match command.plain {
        true => None,
        false => Some(Identity::generate(command.listen.ip())?),
    };
    if let (Some(path), Some(identity)) = (&command.certificate, &identity) {
        std::fs::write(path, identity.pem()).map_err(|error| {
            Error::usage(format!("`{}` cannot be written: {error}", path.display()))
        })?;
    }
    let limits = serve::Limits::default();
    let server = serve::Server::start(listener, identity.as_ref(), service.clone(), limits)?;
    let scheme = if command.plain { "http" } else { "https" };
    print::line(&format!("{scheme}://{}", server.address()))?;
    if let Some(identity) = &identity {
        print::line(&format!(
            "fingerprint {}",
            crate::web::tls::fingerprint_text(&identity.fingerprint())
        ))?;
    }
    let _ = std::io::stdout().flush();
    if !command.listen.ip().is_loopback() {
        print::note(
            "jumpvisor: other machines reach this server, and its password is known to everybody",
        );
    }
    let stopped = Words::default();
    let stop = stopped.clone();
    crate::app::signals::on_signal(move |_| stop.say(()))?;
    stopped.next(None);
    server.stop();
    service.shutdown();
    Ok(0)
}
