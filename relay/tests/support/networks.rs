//! Clients on the machines of a laboratory, though they all live in this process.

use std::net::SocketAddr;
use std::os::fd::AsFd as _;

use p2pcall_relay::client::{Client, Session, Trust, Wire};
use p2pcall_relay::link::Transport;
use p2pcall_relay::server::Credential;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::lab::Lab;

/// This thread is on another machine until this is dropped; sockets stay where they were made.
pub(crate) struct Visit(std::fs::File);

/// Goes to a machine.
pub(crate) fn visit(lab: &Lab, machine: &str) -> Visit {
    let home = std::fs::File::open("/proc/thread-self/ns/net").unwrap();
    let name = lab.before(machine).pop().unwrap();
    enter(&std::fs::File::open(format!("/run/netns/{name}")).unwrap());
    Visit(home)
}

fn enter(network: &std::fs::File) {
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
}

impl Drop for Visit {
    fn drop(&mut self) {
        enter(&self.0);
    }
}

/// A connection from a machine to a relay. Must run on a runtime of one thread.
pub(crate) async fn wire(lab: &Lab, machine: &str, transport: Transport, relay: SocketAddr) -> Wire {
    let _there = visit(lab, machine);
    match transport {
        Transport::Udp => Wire::udp(relay).await.unwrap(),
        Transport::Tcp => Wire::tcp(relay).await.unwrap(),
        // Whose certificate it is does not matter here.
        Transport::Tls => Wire::tls(relay, &relay.ip().to_string(), &Trust::new(None)).await.unwrap().0,
    }
}

/// Somebody with an account, or a guest.
pub(crate) async fn client(
    lab: &Lab,
    machine: &str,
    (transport, relay): (Transport, SocketAddr),
    (user, password): (&str, &str),
) -> Client {
    let credential = Credential { user: user.to_owned(), password: password.to_owned() };
    Client::new(wire(lab, machine, transport, relay).await, Session::new(Some(credential)))
}
