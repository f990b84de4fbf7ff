//! What machines live on and in: hosts, datastores, networks, clusters, resource pools.

use crate::error::Result;
use crate::hv::call::Call;

/// A sort of place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceKind {
    Cluster,
    Datastore,
    Host,
    Network,
    ResourcePool,
}

/// One fact about a place; its unit is in the fact's name.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    Flag(bool),
    Number(i64),
    Text(String),
}

/// One place with what there is to know of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub id: String,
    pub name: String,
    pub path: String,
    /// In the order to show them.
    pub facts: Vec<(&'static str, Fact)>,
}

/// The places of one server.
pub trait Places: Send + Sync {
    /// Every place of a kind that the account may see, in one query and its pages. A kind that the
    /// product does not have is an empty list.
    fn list(&self, call: &Call, kind: PlaceKind) -> Result<Vec<Place>>;
}
