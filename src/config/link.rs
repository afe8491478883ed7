//! stub
use super::{RelayLink, StunServer};
/// stub
#[derive(Debug, thiserror::Error)]
#[error("bad link")]
pub struct LinkError;
/// stub
pub fn relay(_: &str) -> Result<RelayLink, LinkError> {
    Err(LinkError)
}
/// stub
pub fn stun(t: &str) -> Result<StunServer, LinkError> {
    let (h, p) = t.rsplit_once(':').ok_or(LinkError)?;
    Ok(StunServer { host: h.into(), port: p.parse().map_err(|_| LinkError)? })
}
