//! Whom subscriptions are told to: one connection of a client.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::budget::{Budget, Lease, SMALL};
use crate::clients::Client;
use crate::connections::Connection;

/// Events of one connection that are made at a time: one, while another is written.
const TURNS: usize = 2;

/// Bytes of each event that need no room: those of all that one connection has at a time, made
/// or being written, are no more than those of a request.
const FREE: usize = SMALL / (TURNS + 1);

/// One connection.
#[derive(Debug)]
pub(crate) struct Receiver {
    client: Arc<Client>,
    connection: Arc<Connection>,
    /// What its events are counted in.
    budget: Arc<Budget>,
    /// Whose event is made, of its subscriptions. What was made waits there until the connection
    /// takes it: so that is bounded.
    turns: Arc<Semaphore>,
}

impl Receiver {
    pub(crate) fn new(
        client: &Arc<Client>,
        budget: &Arc<Budget>,
        connection: &Arc<Connection>,
    ) -> Self {
        Self {
            client: Arc::clone(client),
            connection: Arc::clone(connection),
            budget: Arc::clone(budget),
            turns: Arc::new(Semaphore::new(TURNS)),
        }
    }

    pub(super) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Waits until one more event may be made; the turn ends when it is dropped.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        // It is never closed.
        Arc::clone(&self.turns).acquire_owned().await.ok()
    }

    /// For an event: what it takes is held in it before it is made.
    pub(super) fn lease(&self) -> Lease {
        self.budget.lease_of(&self.connection, FREE)
    }
}
