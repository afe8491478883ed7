//! A TUN device: the kernel's packets as reads and writes. The one place here with `unsafe`.

use rustix::ioctl::{Opcode, Setter, ioctl, opcode};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;

/// `TUNSETIFF` of linux/if_tun.h.
const SET_INTERFACE: Opcode = opcode::write::<u32>(b'T', 202);
/// `IFF_TUN | IFF_NO_PI`: whole IP packets and nothing before them.
const PLAIN: u16 = 0x0001 | 0x1000;
/// `IFNAMSIZ`, with its final zero.
const NAME: usize = 16;

/// `struct ifreq` of linux/if.h: 40 bytes on 64-bit systems, fewer on others.
#[repr(C)]
struct Request {
    name: [u8; NAME],
    flags: u16,
    rest: [u8; 22],
}

/// Makes a device in the network namespace of the calling thread; it goes with the file. Reads do not block.
pub(super) fn open(name: &str) -> io::Result<File> {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).write(true).custom_flags(nonblocking).open("/dev/net/tun")?;
    let mut request = Request { name: [0; NAME], flags: PLAIN, rest: [0; 22] };
    for (to, from) in request.name.iter_mut().take(NAME - 1).zip(name.bytes()) {
        *to = from;
    }
    // SAFETY: TUNSETIFF takes a pointer to a `struct ifreq`, whatever the size in its number says; `Request` is at
    // least as long as one, initialised, and outlives the call.
    unsafe { ioctl(&file, Setter::<SET_INTERFACE, Request>::new(request)) }?;
    Ok(file)
}
