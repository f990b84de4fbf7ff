//! A simulated server with an ear in between, an appliance, and who hands out its files.

use std::io;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jumpvisor::error::{Error, Kind, Result};
use jumpvisor::hv::appliances::{Appliances, Import, Piece, Provisioning, Setting, Supply};
use jumpvisor::hv::call::{Call, Rights};
use jumpvisor::hv::machines::{Depth, Machines};
use jumpvisor::hv::model::{Machine, MachineDetail};
use jumpvisor::sim::http::Local;
use jumpvisor::sim::vmdk::stream_optimized;
use jumpvisor::text::secret::Secret;
use jumpvisor::vim::value::{Ref, Value};
use jumpvisor::vsphere::session::{Account, Session};
use jumpvisor::vsphere::wire::Wire;
use jumpvisor::vsphere::{Address, Defaults, Elsewhere, Vsphere, nowhere, props};
use jumpvisor::web::client::{Client, Settings};
use jumpvisor::web::exchange::{Exchange, Request, Response, Upload, into_io};
use jumpvisor::web::tls::Trust;

/// One request that was made.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    pub whom: &'static str,
    pub method: &'static str,
    pub path: String,
    /// Names of the headers.
    pub headers: Vec<String>,
    /// The method of a SOAP call, with its body.
    pub soap: String,
    pub text: String,
    /// What was uploaded, and the length that was announced.
    pub body: Vec<u8>,
    pub length: Option<u64>,
}

/// Pieces of answers that are put in the place of others.
pub type Swaps = &'static [(&'static str, &'static str)];

struct Ear {
    whom: &'static str,
    behind: Local,
    heard: Arc<Mutex<Vec<Heard>>>,
    swaps: Swaps,
}

/// Hands bytes on and keeps them.
struct Tee<'a> {
    from: &'a mut dyn Read,
    kept: Arc<Mutex<Vec<u8>>>,
}

impl Read for Tee<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.from.read(into)?;
        self.kept.lock().unwrap().extend_from_slice(&into[..got]);
        Ok(got)
    }
}

impl Exchange for Ear {
    fn exchange(&self, request: &Request) -> Result<Response> {
        let text = String::from_utf8_lossy(request.body).into_owned();
        let soap = text.split("<soapenv:Body><").nth(1).unwrap_or_default();
        let soap = soap.split([' ', '>']).next().unwrap_or_default().to_owned();
        let kept = Arc::new(Mutex::new(Vec::new()));
        let length = request.upload.as_ref().and_then(|it| it.length);
        let answer = match &request.upload {
            None => self.behind.exchange(request),
            Some(upload) => {
                let mut own = Request::new(request.method, request.path.clone(), b"");
                own.headers.clone_from(&request.headers);
                let mut upload = upload;
                let tee = Tee { from: &mut upload, kept: kept.clone() };
                self.behind.exchange(&own.sending(Upload::new(tee, length)))
            }
        };
        let mut swapped = text.clone();
        self.heard.lock().unwrap().push(Heard {
            whom: self.whom,
            method: request.method,
            path: request.path.clone(),
            headers: request.headers.iter().map(|it| it.0.to_ascii_lowercase()).collect(),
            soap,
            text,
            body: std::mem::take(&mut *kept.lock().unwrap()),
            length,
        });
        let mut answer = answer?;
        if self.swaps.is_empty() {
            return Ok(answer);
        }
        swapped.clear();
        answer.body.read_to_string(&mut swapped).unwrap();
        for (old, new) in self.swaps {
            swapped = swapped.replace(old, new);
        }
        answer.body = Box::new(io::Cursor::new(swapped.into_bytes()));
        Ok(answer)
    }
}

/// A server to import to.
pub struct Room {
    pub host: Vsphere,
    heard: Arc<Mutex<Vec<Heard>>>,
    reached: Arc<Mutex<Vec<String>>>,
    /// No host behind a vCenter can be reached.
    pub far: Arc<AtomicBool>,
}

impl Room {
    pub fn new(vcenter: bool, rules: &str) -> Room {
        Room::with(vcenter, rules, &[], None)
    }

    /// With answers that are changed on their way, and a version.
    pub fn with(vcenter: bool, rules: &str, swaps: Swaps, version: Option<&str>) -> Room {
        let settings = jumpvisor::sim::Settings {
            vcenter,
            rules: Some(rules.to_owned()),
            version: version.map(str::to_owned),
            ..jumpvisor::sim::Settings::default()
        };
        let service = jumpvisor::sim::open(settings).unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = heard.clone();
        let ear = move |whom| {
            Box::new(Ear { whom, behind: Local(service.clone()), heard: log.clone(), swaps })
        };
        let account = Account {
            user: "root".into(),
            password: Secret::new("secret"),
            silence: Duration::from_secs(60),
            idle: Duration::from_secs(600),
        };
        let session = Session::new(Wire::new(ear("own")), account);
        let address = Address {
            shown: "sim".into(),
            host: "server.example".into(),
            port: 443,
            proxied: true,
            kind: "esxi",
        };
        let reached = Arc::new(Mutex::new(Vec::new()));
        let (reaches, far) = (reached.clone(), Arc::new(AtomicBool::new(false)));
        let is_far = far.clone();
        let reach = move |it: &Elsewhere| -> Result<Box<dyn Exchange>> {
            reaches.lock().unwrap().push(format!("{}:{} {:?}", it.host, it.port, it.trust));
            match is_far.load(Ordering::SeqCst) {
                true => Err(Error::new(Kind::Network, "nobody answers").hint("Set a timeout")),
                false => Ok(ear("elsewhere")),
            }
        };
        let (defaults, seen) = (Defaults::default(), Box::new(|| None));
        let host = Vsphere::new(session, defaults, address, seen, Box::new(reach));
        Room { host, heard, reached, far }
    }

    /// What was asked since the last time.
    pub fn heard(&self) -> Vec<Heard> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }

    pub fn reached(&self) -> Vec<String> {
        std::mem::take(&mut *self.reached.lock().unwrap())
    }

    pub fn machine(&self, name: &str) -> Option<Machine> {
        let all = self.host.list(&reading(), Depth::Rows).unwrap();
        all.into_iter().find(|it| it.at.name == name)
    }

    pub fn detail(&self, name: &str) -> MachineDetail {
        self.host.detail(&reading(), name).unwrap()
    }

    /// A property of a machine.
    pub fn property(&self, name: &str, path: &'static str) -> Option<Value> {
        let vm = Ref::new("VirtualMachine", self.machine(name).unwrap().at.id);
        let session = &self.host.session;
        props::one(session, &reading(), &vm, "VirtualMachine", &[path]).unwrap().get(path).cloned()
    }

    /// The plan's steps.
    pub fn plan(&self, what: &Import<'_>) -> Result<Vec<String>> {
        self.host.import(&reading(), what, Box::new(Files::default())).map(|it| it.steps)
    }

    /// Plans with the rights to read only, and runs.
    pub fn import(&self, what: &Import<'_>, files: Files) -> Result<Vec<String>> {
        self.import_by(&changing(), what, files)
    }

    pub fn import_by(&self, call: &Call, what: &Import<'_>, files: Files) -> Result<Vec<String>> {
        self.host.import(&reading(), what, Box::new(files))?.run(call)
    }
}

pub fn reading() -> Call {
    Call::new(Rights::ReadOnly)
}

pub fn changing() -> Call {
    Call::new(Rights::Change).within(Duration::from_secs(60))
}

/// What happens in the middle.
pub type Then = Box<dyn FnMut() -> Result<()> + Send>;

/// The files of an appliance in the order in which they lie in it.
#[derive(Default)]
pub struct Files {
    pub all: Vec<(&'static str, Vec<u8>)>,
    /// Goes front to back and never back.
    pub pipe: bool,
    /// Tells no sizes.
    pub sizeless: bool,
    /// Says that files are longer than they are.
    pub short: bool,
    /// What happens after so many bytes of all.
    pub after: Option<(usize, Then)>,
    /// What the manifest says in the end.
    pub wrong: bool,
    pub finished: Arc<Mutex<bool>>,
    /// What was waited for each time.
    pub asked: Arc<Mutex<Vec<String>>>,
    pub place: usize,
    pub present: Option<usize>,
    pub at: usize,
    pub read: usize,
}

impl Files {
    pub fn of(all: Vec<(&'static str, Vec<u8>)>) -> Files {
        Files { all, ..Files::default() }
    }

    pub fn piped(self) -> Files {
        Files { pipe: true, ..self }
    }
}

impl Read for Files {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let Some((bytes, then)) = &mut self.after
            && self.read >= *bytes
        {
            then().map_err(into_io)?;
        }
        let Some(present) = self.present else { return Ok(0) };
        let rest = &self.all[present].1[self.at..];
        // Small pieces, so that there is a middle.
        let got = rest.len().min(into.len()).min(16 << 10);
        into[..got].copy_from_slice(&rest[..got]);
        self.at += got;
        self.read += got;
        Ok(got)
    }
}

impl Supply for Files {
    fn next(&mut self, wanted: &[&str]) -> Result<Option<Piece>> {
        self.asked.lock().unwrap().push(wanted.join(" "));
        let found = match self.pipe {
            true => (self.place..self.all.len()).find(|at| wanted.contains(&self.all[*at].0)),
            false => self.all.iter().position(|it| it.0 == wanted[0]),
        };
        let Some(found) = found else { return Ok(None) };
        (self.present, self.at, self.place) = (Some(found), 0, found + 1);
        let (name, data) = &self.all[found];
        let at = wanted.iter().position(|it| it == name).unwrap();
        let size = data.len() as u64 + if self.short { 1000 } else { 0 };
        Ok(Some(Piece { at, size: (!self.sizeless).then_some(size) }))
    }

    fn finish(&mut self) -> Result<Vec<String>> {
        *self.finished.lock().unwrap() = true;
        match self.wrong {
            true => Err(Error::usage("`b.vmdk` is not what the manifest says")),
            false => Ok(vec!["the manifest matches".to_owned()]),
        }
    }
}

/// A disk of a gigabyte as it travels.
pub fn disk(seed: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream_optimized(2 << 20, seed).read_to_end(&mut bytes).unwrap();
    bytes
}

/// The two disks and the image of [`descriptor`], in its order.
pub fn files() -> Vec<(&'static str, Vec<u8>)> {
    vec![("a.vmdk", disk(1)), ("b.vmdk", disk(2)), ("tools.iso", vec![7; 2048])]
}

/// A descriptor that wants these networks, with a card in each.
pub fn descriptor(networks: &[&str]) -> String {
    let named: String = networks.iter().map(|it| format!("<Network ovf:name=\"{it}\"/>")).collect();
    let cards: String = networks
        .iter()
        .enumerate()
        .map(|(at, it)| {
            format!(
                "<Item><rasd:AddressOnParent>{}</rasd:AddressOnParent><rasd:Connection>{it}\
                 </rasd:Connection><rasd:InstanceID>{}</rasd:InstanceID><rasd:ResourceSubType>\
                 VmxNet3</rasd:ResourceSubType><rasd:ResourceType>10</rasd:ResourceType></Item>",
                7 + at,
                20 + at
            )
        })
        .collect();
    DESCRIPTOR.replace("@NETWORKS@", &named).replace("@CARDS@", &cards)
}

const DESCRIPTOR: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
  xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
<References><File ovf:href="a.vmdk" ovf:id="f1" ovf:size="70000"/><File ovf:href="b.vmdk" ovf:id="f2" ovf:size="70000"/><File ovf:href="tools.iso" ovf:id="f3" ovf:size="2048"/></References>
<DiskSection><Info>d</Info><Disk ovf:capacity="1" ovf:capacityAllocationUnits="byte * 2^30" ovf:diskId="d1" ovf:fileRef="f1" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
<Disk ovf:capacity="1" ovf:capacityAllocationUnits="byte * 2^30" ovf:diskId="d2" ovf:fileRef="f2" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/></DiskSection>
<NetworkSection><Info>n</Info>@NETWORKS@</NetworkSection>
<VirtualSystem ovf:id="app"><Info>a</Info><Name>app</Name>
<OperatingSystemSection ovf:id="100"><Info>o</Info></OperatingSystemSection>
<ProductSection><Info>p</Info><Property ovf:key="hostname" ovf:type="string" ovf:userConfigurable="true"/><Property ovf:key="dns" ovf:type="string" ovf:value="10.0.0.1" ovf:userConfigurable="true"/></ProductSection>
<VirtualHardwareSection ovf:transport="com.vmware.guestInfo"><Info>h</Info><System><vssd:ElementName>F</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID><vssd:VirtualSystemType>vmx-13</vssd:VirtualSystemType></System>
<Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>1</rasd:VirtualQuantity></Item>
<Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>512</rasd:VirtualQuantity></Item>
<Item><rasd:Address>0</rasd:Address><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceSubType>lsilogic</rasd:ResourceSubType><rasd:ResourceType>6</rasd:ResourceType></Item>
<Item><rasd:Address>1</rasd:Address><rasd:InstanceID>5</rasd:InstanceID><rasd:ResourceType>5</rasd:ResourceType></Item>
<Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:HostResource>ovf:/disk/d1</rasd:HostResource><rasd:InstanceID>4</rasd:InstanceID><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
<Item><rasd:AddressOnParent>1</rasd:AddressOnParent><rasd:HostResource>ovf:/disk/d2</rasd:HostResource><rasd:InstanceID>8</rasd:InstanceID><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
<Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:HostResource>ovf:/file/f3</rasd:HostResource><rasd:InstanceID>6</rasd:InstanceID><rasd:Parent>5</rasd:Parent><rasd:ResourceSubType>vmware.cdrom.iso</rasd:ResourceSubType><rasd:ResourceType>15</rasd:ResourceType></Item>
@CARDS@</VirtualHardwareSection></VirtualSystem></Envelope>"#;

/// What is wanted, with everything left out that can be.
pub fn wanted<'a>(descriptor: &'a str, name: &'a str) -> Import<'a> {
    Import {
        descriptor,
        name,
        datastore: None,
        wants: &[],
        network: None,
        networks: &[],
        provisioning: Provisioning::Thin,
        option: None,
        settings: &[],
        transports: &[],
        iso: None,
        boot_from_iso: true,
        power_on: false,
        one_pass: false,
        pull: None,
    }
}

pub fn setting(key: &str, value: &str, given: bool) -> Setting {
    Setting { key: key.to_owned(), value: value.to_owned(), given }
}

/// A server of this machine, over TLS if its certificate is known.
pub fn connected(port: u16, fingerprint: Option<[u8; 32]>, password: &str) -> Vsphere {
    let settings = Settings {
        host: "127.0.0.1".to_owned(),
        port,
        tls: fingerprint.is_some(),
        trust: fingerprint.map_or(Trust::System, Trust::Fingerprint),
        connect_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(60),
        proxy: None,
        no_proxy: String::new(),
    };
    let account = Account {
        user: "root".to_owned(),
        password: Secret::new(password),
        silence: Duration::from_secs(60),
        idle: Duration::from_secs(600),
    };
    let wire = Wire::new(Box::new(Client::new(settings).unwrap()));
    let address = Address {
        shown: "connected".to_owned(),
        host: "127.0.0.1".to_owned(),
        port,
        proxied: true,
        kind: "esxi",
    };
    let session = Session::new(wire, account);
    Vsphere::new(session, Defaults::default(), address, Box::new(|| None), nowhere())
}
