//! A machine's screen and keyboard, and the state of its guest agent.

/// A machine's screen and keyboard, and the state of its guest agent on one server.
pub trait Console: Send + Sync {}
