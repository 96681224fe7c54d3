//! How the memory budget is divided.

use super::desk::MAX_IDLE;
use crate::options::ViewOptions;

/// Memory of a dropped instance that stays mapped for the next one, at most: most
/// views touch less before they answer.
const MAX_KEEP_RESIDENT: usize = 1024 * 1024;

/// The same for tables: a guest's functions fit.
const MAX_TABLE_KEEP_RESIDENT: usize = 16 * 1024;

/// The part of the budget that may stay mapped in dropped instances' slots.
const RESIDENT_PART: usize = 16;

const PAGE: usize = 4096;

/// Bytes and counts that follow from the options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// Instances that may exist at a time.
    pub(crate) slots: u32,
    /// What stays mapped of the memory in a slot without an instance.
    pub(crate) keep_resident: usize,
    /// What stays mapped of its table.
    pub(crate) table_keep_resident: usize,
    /// What all instances may have together, so that the budget holds what stays mapped
    /// as well.
    pub(crate) all_instances: usize,
    /// An instance that has more after its call is dropped: what is left of its share
    /// is for the next call to grow into.
    pub(crate) kept_instance: usize,
    /// What a guest's own caches may have.
    pub(crate) guest_caches: usize,
}

impl Room {
    pub(crate) fn of(options: &ViewOptions) -> Self {
        let instances = options.instances.get();
        // Idle ones, busy ones, those on their way from one to the other, and the one
        // that executes the pending block.
        let slots = instances
            .saturating_mul(2)
            .saturating_add(MAX_IDLE)
            .saturating_add(1);
        let resident = options.memory_budget / RESIDENT_PART / slots;
        let pages = |bytes: usize| bytes / PAGE * PAGE;
        let table_keep_resident = pages(resident / 4).min(MAX_TABLE_KEEP_RESIDENT);
        let keep_resident = pages(resident - table_keep_resident).min(MAX_KEEP_RESIDENT);
        let mapped = (keep_resident + table_keep_resident) * slots;
        let all_instances = options.memory_budget - mapped;
        let share = (all_instances / instances).min(options.max_instance_memory);
        Self {
            slots: u32::try_from(slots).unwrap_or(u32::MAX),
            keep_resident,
            table_keep_resident,
            all_instances,
            kept_instance: share / 4 * 3,
            guest_caches: share / 2,
        }
    }
}

impl Room {
    /// What stays mapped in the slots of so many more instances, in bytes.
    pub(crate) fn mapped_by(&self, instances: usize) -> usize {
        let each = self.keep_resident + self.table_keep_resident;
        each.saturating_mul(instances)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_budget_holds_all(
            instances in 1..200_usize,
            memory_budget in 0..=(1_usize << 33),
            max_instance_memory in 0..=(1_usize << 33),
        ) {
            let room = Room::of(&ViewOptions {
                instances: NonZeroUsize::new(instances).unwrap(),
                memory_budget,
                max_instance_memory,
                ..ViewOptions::default()
            });
            let mapped =
                (room.keep_resident + room.table_keep_resident) * room.slots as usize;
            let together = mapped + room.all_instances;
            prop_assert_eq!(together, memory_budget);
            prop_assert!(mapped <= memory_budget / RESIDENT_PART);
            prop_assert!(room.kept_instance * instances <= room.all_instances);
            prop_assert!(room.guest_caches <= room.kept_instance || room.kept_instance < 4);
        }
    }
}
