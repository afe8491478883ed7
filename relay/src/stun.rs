//! The STUN and TURN wire codec (RFC 8489, RFC 8656).
