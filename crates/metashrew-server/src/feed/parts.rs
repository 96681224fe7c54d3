//! Events of several parts: what comes after the first one.

use super::event::Event;
use super::subscriber::{Subscriber, Topic, pause};
use super::writes::WritesError;
use crate::budget::BudgetExhausted;

impl Subscriber {
    /// Whether there is more of an event that was begun.
    pub(super) fn has_begun(&self) -> bool {
        self.listing.is_some() || self.rest.is_some() || self.listed.is_some()
    }

    /// The next part of an event that was begun.
    pub(super) async fn go_on(&mut self) -> Result<Option<Event>, BudgetExhausted> {
        if self.listing.is_none()
            && let (Some((chain, change)), Topic::View(asked)) = (&self.listed, &self.topic)
        {
            let (chain, change, asked) = (chain.clone(), change.clone(), asked.clone());
            return self.evaluate(&asked, &chain, &change).await;
        }
        let _turn = self.receiver.turn().await;
        let lease = self.receiver.lease();
        let event = if let Some(listing) = self.listing.clone() {
            let reading = self.shared.read(move |_| listing.next(lease)).await;
            reading.map(|(event, listing)| {
                self.listing = listing;
                event
            })
        } else if let Some(rest) = self.rest.clone() {
            let reading = self
                .shared
                .read(move |shared| rest.next(shared, lease))
                .await;
            reading.map(|(event, rest)| {
                self.rest = rest;
                event
            })
        } else {
            return Ok(None);
        };
        match event {
            Ok(event) => Ok(Some(self.tell(event))),
            Err(WritesError::NoRoom(none)) => Err(none),
            Err(WritesError::Read(error)) => {
                pause(&error).await;
                Ok(None)
            }
        }
    }
}
