//! jumpvisor

pub mod config;
pub mod error;
pub mod text;
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
