//! Serial consoles: the telnet that carries them, what was said and how it reads, and the hub that
//! holds their lines.
//!
//! Bytes in, bytes out, without socket, thread or clock, is all but the hub and what it consists of:
//! `console` and `now`, `line`, `dial`, `concentrator` with `desk` and `served`, `people`, `record`.
//! It must not know which hypervisor a machine is on. Surprising: a position is a place in a console's
//! raw stream, from its first byte on, so that cleaned text can be cut and searched freely and still
//! nothing is read twice or missed.

pub mod concentrator;
mod console;
mod desk;
mod dial;
pub mod escape;
pub mod find;
pub mod hub;
pub mod keys;
mod line;
pub mod moves;
mod now;
mod outside;
mod people;
pub mod proxy;
mod record;
pub mod ring;
mod served;
pub mod suboption;
pub mod telnet;
pub mod text;
