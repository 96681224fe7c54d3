//! What one client may have of what all share: each is known by its address, and has a share
//! of its own, so that no one of them takes all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::fault::{self, BUSY, RpcError};
use crate::meter::Meter;
use crate::options::ServerOptions;

/// Bits of an IPv6 address that tell clients apart: whoever has one such network has all of its
/// addresses.
const NETWORK: u32 = 64;

/// Who they are that have anything.
#[derive(Debug)]
pub(crate) struct Clients {
    shares: Shares,
    known: Mutex<HashMap<IpAddr, Weak<Client>>>,
}

/// What one client may have.
#[derive(Debug, Clone, Copy)]
struct Shares {
    streams: usize,
    subscriptions: usize,
    memory: usize,
}

/// One client, and what it has.
#[derive(Debug)]
pub(crate) struct Client {
    address: IpAddr,
    clients: Weak<Clients>,
    streams: Meter,
    subscriptions: Meter,
    memory: Meter,
}

/// What is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// WebSockets and event streams.
    Streams,
    Subscriptions,
    /// Bytes that subscriptions keep.
    Memory,
}

/// A client has its whole share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this client's address has {limit} {}, as many as one may", .what.as_str())]
pub(crate) struct ShareTaken {
    pub(crate) what: What,
    pub(crate) limit: usize,
}

impl What {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Streams => "WebSockets and event streams",
            Self::Subscriptions => "subscriptions",
            Self::Memory => "bytes of what subscriptions ask for",
        }
    }

    /// `data.kind` of the error.
    const fn kind(self) -> &'static str {
        match self {
            Self::Streams => "client_streams",
            Self::Subscriptions => "client_subscriptions",
            Self::Memory => "client_subscription_memory",
        }
    }
}

impl ShareTaken {
    pub(crate) fn error(self) -> RpcError {
        let data = serde_json::json!({ "kind": self.what.kind(), "limit": self.limit });
        fault::object(BUSY, self.to_string(), data)
    }
}

impl Shares {
    const WITHOUT_LIMIT: Self = Self {
        streams: usize::MAX,
        subscriptions: usize::MAX,
        memory: usize::MAX,
    };

    /// Of so many WebSockets and event streams.
    fn new(options: &ServerOptions, streams: usize) -> Self {
        let percent = usize::from(options.client_share);
        if percent >= 100 {
            return Self::WITHOUT_LIMIT;
        }
        // Whoever comes alone may have one.
        let of = |all: usize| (all / 100 * percent + all % 100 * percent / 100).max(1);
        Self {
            streams: of(streams),
            subscriptions: of(options.max_subscriptions),
            memory: of(options.subscription_memory),
        }
    }
}

impl Clients {
    /// Of a server that has so many WebSockets and event streams.
    pub(crate) fn new(options: &ServerOptions, streams: usize) -> Self {
        Self {
            shares: Shares::new(options, streams),
            known: Mutex::default(),
        }
    }

    /// Who speaks from this address.
    pub(crate) fn at(self: &Arc<Self>, address: IpAddr) -> Arc<Client> {
        let address = network_of(address);
        let mut known = self.known.lock();
        if let Some(client) = known.get(&address).and_then(Weak::upgrade) {
            return client;
        }
        let client = Arc::new(Client::new(address, Arc::downgrade(self), self.shares));
        known.insert(address, Arc::downgrade(&client));
        client
    }
}

impl Client {
    fn new(address: IpAddr, clients: Weak<Clients>, shares: Shares) -> Self {
        Self {
            address,
            clients,
            streams: Meter::new(shares.streams),
            subscriptions: Meter::new(shares.subscriptions),
            memory: Meter::new(shares.memory),
        }
    }

    /// A program that uses the server as a library: it has no limit.
    pub(crate) fn in_process() -> Arc<Self> {
        let nowhere = Ipv6Addr::UNSPECIFIED.into();
        Arc::new(Self::new(nowhere, Weak::new(), Shares::WITHOUT_LIMIT))
    }

    /// So much of its share.
    ///
    /// # Errors
    /// If it has not as much left.
    pub(crate) fn take(self: &Arc<Self>, what: What, amount: usize) -> Result<Taken, ShareTaken> {
        let meter = self.meter(what);
        let limit = meter.limit();
        if !meter.take(amount) {
            return Err(ShareTaken { what, limit });
        }
        Ok(Taken {
            client: Arc::clone(self),
            what,
            amount,
        })
    }

    fn meter(&self, what: What) -> &Meter {
        match what {
            What::Streams => &self.streams,
            What::Subscriptions => &self.subscriptions,
            What::Memory => &self.memory,
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(clients) = self.clients.upgrade() {
            let mut known = clients.known.lock();
            // One that came from there meanwhile stays.
            if let Some(client) = known.get(&self.address)
                && client.strong_count() == 0
            {
                known.remove(&self.address);
            }
        }
    }
}

/// What is held of a client's share; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Taken {
    client: Arc<Client>,
    what: What,
    amount: usize,
}

impl Taken {
    /// Whose share it is.
    pub(crate) fn client(&self) -> &Arc<Client> {
        &self.client
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.client.meter(self.what).give_back(self.amount);
    }
}

/// An IPv4 address as it is, or the network of an IPv6 one.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = !(u128::MAX >> NETWORK);
            Ipv6Addr::from_bits(address.to_bits() & network).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(share: u8) -> Arc<Clients> {
        let options = ServerOptions {
            client_share: share,
            max_subscriptions: 3,
            subscription_memory: 250,
            ..ServerOptions::default()
        };
        Arc::new(Clients::new(&options, 384))
    }

    fn at(clients: &Arc<Clients>, address: &str) -> Arc<Client> {
        clients.at(address.parse().unwrap())
    }

    #[test]
    fn a_client_has_a_share() {
        let check = |share: u8, expect: [usize; 3]| {
            let client = at(&clients(share), "192.0.2.1");
            let all = [What::Streams, What::Subscriptions, What::Memory];
            assert_eq!(
                all.map(|what| client.meter(what).limit()),
                expect,
                "{share}"
            );
        };
        check(50, [192, 1, 125]);
        check(34, [130, 1, 85]);
        check(1, [3, 1, 2]);
        check(0, [1, 1, 1]);
        check(99, [380, 2, 247]);
        check(100, [usize::MAX; 3]);
    }

    #[test]
    fn one_that_has_all_of_it_leaves_the_rest_to_others() {
        let clients = clients(50);
        let (one, other) = (at(&clients, "192.0.2.1"), at(&clients, "192.0.2.2"));
        let held = one.take(What::Memory, 100).unwrap();
        let taken = ShareTaken {
            what: What::Memory,
            limit: 125,
        };
        assert_eq!(one.take(What::Memory, 26).unwrap_err(), taken);
        let rest = one.take(What::Memory, 25).unwrap();
        let others = other.take(What::Memory, 125).unwrap();
        assert!(Arc::ptr_eq(others.client(), &other));
        drop(held);
        let again = at(&clients, "192.0.2.1");
        assert_eq!(again.take(What::Memory, 101).unwrap_err(), taken);
        again.take(What::Memory, 100).unwrap();
        drop(rest);
    }

    #[test]
    fn clients_are_told_apart_by_address_or_network() {
        let clients = clients(50);
        let check = |one: &str, other: &str, same: bool| {
            let (one, other) = (at(&clients, one), at(&clients, other));
            assert_eq!(Arc::ptr_eq(&one, &other), same, "{one:?} {other:?}");
        };
        check("192.0.2.1", "192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
        check("192.0.2.1", "::ffff:192.0.2.1", true);
        check("2001:db8::1", "2001:db8::ffff:0:0:1", true);
        check("2001:db8::1", "2001:db8:0:1::1", false);
        // Who has left is forgotten.
        assert!(clients.known.lock().is_empty());
    }
}
