//! What the pool keeps: an instance of the guest, and whose it is; and how one is made.

use std::sync::Arc;

use super::budget::{Account, Slot};
use super::pool::{Pool, Pooled};
use super::session::Session;
use super::stats::DropReason;
use crate::context::Call;
use crate::deadline::{Alarms, Deadline};
use crate::error::HostFault;
use crate::fault::Fault;
use crate::guest::Guest;
use crate::instance::Instance;
use crate::limits::Allowance;

/// The pool of a guest's instances.
pub(crate) type ViewPool = Pool<Kept>;

/// An instance in the pool, or of a call that runs.
pub(crate) struct Kept {
    /// In a box: it changes hands a few times in every call.
    pub(super) instance: Box<Instance>,
    /// The session that it serves.
    pub(super) session: Option<Arc<Session>>,
    pub(super) account: Arc<Account>,
    /// Below the instance: there is room for another once it is gone.
    pub(super) _slot: Slot,
}

impl Pooled for Kept {
    fn account(&self) -> &Arc<Account> {
        &self.account
    }

    fn gone(&self, reason: DropReason) {
        if let Some(session) = &self.session {
            session.lose(reason.loss());
        }
    }
}

/// Makes instances within the pool's budget.
#[derive(Clone)]
pub(super) struct Maker {
    pub(super) guest: Arc<Guest>,
    pub(super) pool: Arc<ViewPool>,
    /// Bytes that one instance may have, with what the host holds for it.
    pub(super) limit: usize,
    pub(super) alarms: Arc<Alarms>,
    pub(super) reads_may_wait: bool,
}

impl Maker {
    /// The alarms of calls that wait for reads; none if no read ever waits.
    pub(super) fn read_alarms(&self) -> Option<&Arc<Alarms>> {
        self.reads_may_wait.then_some(&self.alarms)
    }

    /// Makes an instance that is about to run `call`, on bytes of `account`, of which `used`
    /// are in use for other things.
    pub(super) async fn make(
        &self,
        call: Call,
        deadline: Deadline,
        account: Arc<Account>,
        used: usize,
        session: Option<Arc<Session>>,
    ) -> Result<Kept, Fault> {
        let guest = if self.reads_may_wait {
            &self.guest.viewing_on_fibres
        } else {
            &self.guest.viewing
        };
        let slot = self.pool.slot().ok_or_else(|| {
            Fault::Host(HostFault::Resources("no room for an instance".to_owned()))
        })?;
        let deadline = deadline.with_alarms(self.read_alarms());
        let allowance = Allowance::within(self.limit, &self.pool, &account, used);
        let instance = Instance::create_async(guest, call, allowance, deadline).await?;
        Ok(Kept {
            instance: Box::new(instance),
            session,
            account,
            _slot: slot,
        })
    }
}
