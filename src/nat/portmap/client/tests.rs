//! The mapper against gateways on loopback that are slow, wrong or mad.
