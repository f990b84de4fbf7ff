//! Network cards of machines.
//!
//! Each verb prepares: it reads the machine, checks what can be checked and changes nothing until
//! the [`Prepared`] is run. Cards are meant by label or key, networks by name or id.

use crate::error::Result;
use crate::hv::call::Call;
use crate::hv::mac::Mac;
use crate::hv::model::Nic;
use crate::hv::prepared::Prepared;

/// What a guest takes the card for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NicModel {
    E1000,
    E1000e,
    Vmxnet3,
}

/// Network cards of machines on one server.
pub trait Nics: Send + Sync {
    /// The cards of the machine that `wanted` means; only the one of this label, if one is given.
    fn list(&self, call: &Call, wanted: &str, label: Option<&str>) -> Result<Vec<Nic>>;

    /// A card more, on this network.
    fn add<'a>(
        &'a self,
        call: &Call,
        wanted: &str,
        network: &str,
        model: NicModel,
        start_connected: bool,
    ) -> Result<Prepared<'a>>;

    /// A card less; its address is lost.
    fn remove<'a>(&'a self, call: &Call, wanted: &str, label: &str) -> Result<Prepared<'a>>;

    /// Puts a card on another network.
    fn set_network<'a>(
        &'a self,
        call: &Call,
        wanted: &str,
        label: &str,
        network: &str,
    ) -> Result<Prepared<'a>>;

    /// Plugs a card in or out, now and at power-on; of a machine that is off, at power-on.
    fn connect<'a>(
        &'a self,
        call: &Call,
        wanted: &str,
        label: &str,
        connected: bool,
    ) -> Result<Prepared<'a>>;

    /// Gives a card an address of one's choice.
    fn set_mac<'a>(
        &'a self,
        call: &Call,
        wanted: &str,
        label: &str,
        mac: Mac,
    ) -> Result<Prepared<'a>>;
}
