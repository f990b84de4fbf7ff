//! Plain data in our words: what a machine, its parts and its server look like to a user.
//!
//! No field here is a product's own type, and ids are opaque. Sizes carry their unit in the name,
//! times are RFC 3339 in UTC. Surprising: much is optional, because an account may not see
//! everything and a machine that is just being made has little to show.

/// Whether a machine runs, in words that all products share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerState {
    On,
    Off,
    Suspended,
    Paused,
    Starting,
    Stopping,
    Unknown,
}

impl PowerState {
    /// The word that a user reads and filters by.
    pub fn word(self) -> &'static str {
        match self {
            PowerState::On => "on",
            PowerState::Off => "off",
            PowerState::Suspended => "suspended",
            PowerState::Paused => "paused",
            PowerState::Starting => "starting",
            PowerState::Stopping => "stopping",
            PowerState::Unknown => "unknown",
        }
    }

    /// Every word, for filters and their help.
    pub const WORDS: [&'static str; 7] =
        ["on", "off", "suspended", "paused", "starting", "stopping", "unknown"];
}

/// Which machine is meant: enough to act on it and to name it to a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineRef {
    /// The hypervisor's own id, opaque.
    pub id: String,
    /// The name as a person writes it.
    pub name: String,
    /// Where it stands in the inventory, for telling two of one name apart.
    pub path: String,
}

/// One machine as a list shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    pub at: MachineRef,
    pub power: PowerState,
    /// The hypervisor's own word for the state.
    pub native_state: String,
    /// Why the machine cannot be used, such as a lost connection; `None` when all is well.
    pub trouble: Option<String>,
    pub cpus: Option<i64>,
    pub memory_mb: Option<i64>,
    pub guest_os: Option<String>,
    /// The primary address first.
    pub ip_addresses: Vec<String>,
    pub template: bool,
    /// The guest agent (VMware Tools and its like): running, or why not.
    pub agent: Option<String>,
    pub cpu_usage_mhz: Option<i64>,
    pub memory_usage_mb: Option<i64>,
    pub storage_used_bytes: Option<i64>,
    /// A question that the hypervisor asks and that holds the machine up.
    pub question: Option<Question>,
}

/// A question that blocks a machine until somebody answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub id: String,
    pub text: String,
    /// Key to answer with, and its label.
    pub choices: Vec<(String, String)>,
    /// Key of the choice that the hypervisor proposes.
    pub default: Option<String>,
}

impl Question {
    /// The choices as a person reads them: `button.yes (Yes), button.no (No)`.
    pub fn offered(&self) -> String {
        let shown: Vec<String> =
            self.choices.iter().map(|(key, label)| format!("{key} ({label})")).collect();
        shown.join(", ")
    }
}

/// A virtual disk of a machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Disk {
    pub label: String,
    pub size_bytes: i64,
    /// The file or volume behind it, as the hypervisor writes it.
    pub file: Option<String>,
    pub thin: Option<bool>,
    pub controller: Option<String>,
}

/// A network card of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    pub label: String,
    pub key: i64,
    pub model: String,
    pub mac_address: Option<String>,
    /// How the address came about: generated, assigned or manual.
    pub address_type: Option<String>,
    pub network: Option<String>,
    /// Standard, distributed or opaque.
    pub network_kind: Option<&'static str>,
    pub connected: bool,
    /// Plugged in when the machine is powered on.
    pub start_connected: bool,
    pub ip_addresses: Vec<String>,
}

/// Everything that is known of one machine.
#[derive(Clone, Debug, PartialEq)]
pub struct MachineDetail {
    pub machine: Machine,
    pub uuid: Option<String>,
    pub instance_uuid: Option<String>,
    pub hardware_version: Option<String>,
    pub firmware: Option<String>,
    pub cores_per_socket: Option<i64>,
    pub cpu_hot_add: Option<bool>,
    pub memory_hot_add: Option<bool>,
    pub nested_virtualization: Option<bool>,
    pub secure_boot: Option<bool>,
    pub disks: Vec<Disk>,
    pub nics: Vec<Nic>,
    /// Removable media by label and what is in them.
    pub media: Vec<(String, String)>,
    pub snapshots: i64,
    pub agent_version: Option<String>,
    pub guest_hostname: Option<String>,
    pub uptime_seconds: Option<i64>,
    pub booted_at: Option<String>,
    pub annotation: Option<String>,
    pub boot_order: Vec<String>,
    pub host: Option<String>,
    pub folder: Option<String>,
    pub resource_pool: Option<String>,
    pub datastores: Vec<String>,
    pub config_path: Option<String>,
}

/// One saved state of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub id: String,
    pub name: String,
    /// The names from the root, joined by `/`; tells two of one name apart.
    pub path: String,
    pub description: String,
    /// RFC 3339.
    pub created: Option<String>,
    pub state: PowerState,
    /// Bytes that removing it could free, where the hypervisor tells.
    pub size_bytes: Option<i64>,
    pub current: bool,
    pub children: usize,
}

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// `esxi`, `vcenter` and their like.
    pub kind: String,
    /// Product with version and build, as the vendor writes it.
    pub product: String,
    pub version: String,
    /// Set when the licence forbids changes.
    pub read_only: Option<String>,
}

/// What is known of a server without asking it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub kind: String,
    pub address: String,
    pub user: String,
    pub connected: bool,
    pub version: Option<String>,
    /// Why the last attempt failed, if it did.
    pub trouble: Option<String>,
    pub requests: u64,
    pub logins: u64,
    pub bytes_received: u64,
    pub bytes_sent: u64,
    /// Transfers that hold a machine now.
    pub leases: u64,
}

/// One step of trying a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was tried: `name`, `tls`, `login` ...
    pub step: &'static str,
    pub outcome: Outcome,
    /// What was found, or what failed and what to do.
    pub text: String,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Good,
    /// Works, but the user should know.
    Warning,
    Bad,
}
