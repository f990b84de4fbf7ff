//! jumpvisor

pub mod audit;
pub mod error;
pub mod hv;
pub mod metrics;
pub mod text;
pub mod tools;
pub mod vim;
pub mod vsphere;
pub mod web;

pub mod cli {
    //! placeholder
    /// placeholder
    pub fn main() -> u8 {
        0
    }
}
