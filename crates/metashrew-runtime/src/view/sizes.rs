//! How the memory budget is divided, and how many instances there may be.

use std::num::NonZeroUsize;

use super::budget::Shares;
use crate::limits::MAX_TABLE_BYTES;
use crate::options::{ViewCheck, ViewOptions, cores};

/// Instances that may be idle at a time; the engine reserves address space for them.
const MAX_IDLE: usize = 256;

/// Instances that are made without a permit: the one that runs a pending block, the one that
/// tries whether any can be made, and the two of a profile.
const WITHOUT_PERMIT: usize = 4;

/// Memory of a dropped instance that stays mapped for the next one, at most: most
/// views touch less before they answer.
const MAX_KEEP_RESIDENT: usize = 1024 * 1024;

/// The same for tables: a guest's functions fit.
const MAX_TABLE_KEEP_RESIDENT: usize = 16 * 1024;

/// The same for stacks: short calls and what the host does for them fit.
const MAX_STACK_KEEP_RESIDENT: usize = 16 * 1024;

/// The part of the budget that may stay mapped in dropped instances' slots.
const RESIDENT_PART: usize = 16;

/// The part of the budget that is for calls that need little: one that hoards memory fails
/// before one that does not.
const SMALL_PART: usize = 16;

/// What the SDK's caches have at least, whatever they are told: `MINIMUM_LIMIT` in
/// `metashrew-core`.
const MIN_GUEST_CACHES: usize = 16 * 1024 * 1024;

const PAGE: usize = 4096;

/// Bytes and counts that follow from the options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Instances that may exist at a time.
    pub(crate) slots: u32,
    /// What stays mapped of the memory in a slot without an instance.
    pub(crate) keep_resident: usize,
    /// What stays mapped of its table.
    pub(crate) table_keep_resident: usize,
    /// What stays mapped of a stack without an instance.
    pub(crate) stack_keep_resident: usize,
    /// What all instances may have together, so that the budget holds what stays mapped
    /// as well.
    pub(crate) all_instances: usize,
    /// Of these, what calls that have much leave to those that need little.
    for_small: usize,
    /// What one instance may have.
    pub(crate) one_instance: usize,
    /// What a guest's own caches may have.
    pub(crate) guest_caches: usize,
}

impl Sizes {
    pub(crate) fn of(options: &ViewOptions) -> Self {
        Self::on(options, cores())
    }

    /// On a machine with so many cores.
    fn on(options: &ViewOptions, cores: NonZeroUsize) -> Self {
        let instances = options.instances.get();
        // Those that check: one, or one a call.
        let checks = match options.check {
            ViewCheck::Off => 0,
            ViewCheck::Warn => 1,
            ViewCheck::Enforce => instances,
        };
        let slots = instances
            .saturating_add(MAX_IDLE)
            .saturating_add(WITHOUT_PERMIT)
            .saturating_add(checks);
        let resident = options.memory_budget / RESIDENT_PART / slots;
        let pages = |bytes: usize| bytes / PAGE * PAGE;
        let stack_keep_resident = pages(resident / 4).min(MAX_STACK_KEEP_RESIDENT);
        let table_keep_resident = pages(resident / 4).min(MAX_TABLE_KEEP_RESIDENT);
        let others = stack_keep_resident + table_keep_resident;
        let keep_resident = pages(resident - others).min(MAX_KEEP_RESIDENT);
        let mapped = (keep_resident + others) * slots;
        let all_instances = options.memory_budget - mapped;
        let for_small = all_instances / SMALL_PART;
        let one_instance = options.max_instance_memory.min(all_instances - for_small);
        // So many calls run at the same moment; short ones need no more instances than that.
        let at_once = instances.min(cores.get());
        let guest_caches = (all_instances / at_once / 2).max(MIN_GUEST_CACHES);
        Self {
            slots: u32::try_from(slots).unwrap_or(u32::MAX),
            keep_resident,
            table_keep_resident,
            stack_keep_resident,
            all_instances,
            for_small,
            one_instance,
            guest_caches: guest_caches.min(one_instance / 2),
        }
    }

    /// The same for a guest that begins with `least` bytes of memory. Where the budget does
    /// not hold a single instance of it, but an instance may have so much, there is room for
    /// one at a time, which is not kept.
    pub(super) fn for_guest(self, options: &ViewOptions, least: usize) -> Self {
        if least <= self.one_instance || least > options.max_instance_memory {
            return self;
        }
        let one = least.saturating_add(MAX_TABLE_BYTES);
        Self {
            all_instances: self.all_instances.max(one),
            for_small: 0,
            one_instance: one,
            ..self
        }
    }

    /// How the pool's bytes are shared out among its calls. One needs little that has what its
    /// guest begins with, twice, or what all calls could have at the same time.
    pub(super) fn shares(&self, options: &ViewOptions, least: usize) -> Shares {
        let share = self.all_instances / 2 / options.instances.get();
        Shares {
            all: self.all_instances,
            assured: share.max(least.saturating_mul(2)),
            for_small: self.for_small,
        }
    }

    /// What stays mapped in the slots of so many more instances, in bytes.
    pub(crate) fn mapped_by(&self, instances: usize) -> usize {
        let each = self.keep_resident + self.table_keep_resident + self.stack_keep_resident;
        each.saturating_mul(instances)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).unwrap()
    }

    proptest! {
        #[test]
        fn the_budget_holds_all(
            instances in 1..5_000_usize,
            count in 1..200_usize,
            memory_budget in 0..=(1_usize << 33),
            max_instance_memory in 0..=(1_usize << 33),
        ) {
            let options = ViewOptions {
                instances: number(instances),
                memory_budget,
                max_instance_memory,
                ..ViewOptions::default()
            };
            let sizes = Sizes::on(&options, number(count));
            let mapped = sizes.mapped_by(sizes.slots as usize);
            prop_assert_eq!(mapped + sizes.all_instances, memory_budget);
            prop_assert!(mapped <= memory_budget / RESIDENT_PART);
            prop_assert!(sizes.one_instance <= sizes.all_instances);
            prop_assert!(sizes.guest_caches <= sizes.one_instance / 2);
        }
    }

    #[test]
    fn more_cores_leave_a_guests_caches_what_they_need() {
        let caches = |count| {
            let options = ViewOptions {
                instances: number(64 * count),
                ..ViewOptions::default()
            };
            Sizes::on(&options, number(count)).guest_caches >> 20
        };
        assert_eq!([1, 2, 8, 64, 1_000].map(caches), [450, 240, 60, 16, 16]);
    }

    #[test]
    fn a_guest_that_is_larger_than_the_budget_runs_alone() {
        let options = ViewOptions {
            memory_budget: 1 << 20,
            max_instance_memory: 8 << 20,
            ..ViewOptions::default()
        };
        let sizes = Sizes::on(&options, number(2));
        let large = sizes.for_guest(&options, 4 << 20);
        assert_eq!(large.all_instances, (4 << 20) + MAX_TABLE_BYTES);
        assert_eq!(large.one_instance, large.all_instances);
        assert_eq!(sizes.for_guest(&options, 9 << 20), sizes);
        assert_eq!(sizes.for_guest(&options, 1 << 16), sizes);
    }
}
