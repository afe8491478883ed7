//! I/O: what the system tells of an interface: its largest packet. Linux tells by files; elsewhere nothing is known,
//! and said.

/// The largest packet of an interface.
pub(super) fn mtu(interface: &str) -> Option<u32> {
    // A name with a slash is none.
    let name = std::path::Path::new(interface).file_name()?;
    let file = std::path::Path::new("/sys/class/net").join(name).join("mtu");
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}
