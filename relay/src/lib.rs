//! A STUN and TURN relay for a spare server. Knows nothing of calls.

pub mod stun;
