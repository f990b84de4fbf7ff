//! Serial consoles, the pure part: the telnet that carries them, what was said, and how it reads.
//!
//! Bytes in, bytes out: no socket, no thread, no clock; who calls brings the time and what is random.
//! It must not know where a line leads or who listens. Surprising: a position is a place in a
//! console's raw stream, from its first byte on, so that cleaned text can be cut and searched freely
//! and still nothing is read twice or missed.

pub mod escape;
pub mod find;
pub mod hub;
pub mod keys;
pub mod moves;
pub mod place;
pub mod proxy;
pub mod ring;
pub mod suboption;
pub mod telnet;
pub mod text;
