//! What a guest says of itself, kept from its load for those who ask.

use std::collections::BTreeMap;

use metashrew_abi::imports;
use metashrew_abi::proto::{IndexerMetadata, Storage, ViewFunction};

use crate::error::ViewError;
use crate::guest::Guest;
use crate::options::ViewInstances;
use crate::runtime::MetashrewRuntime;

/// A view of the guest, and what the guest says of it: see
/// [`MetashrewRuntime::views`](crate::MetashrewRuntime::views). The texts of all views together
/// have 256 KiB at most, which is what a guest may say of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ViewDescription {
    /// The export's name.
    pub name: String,
    /// What it is for, in the author's words; empty if nothing is said.
    pub doc: String,
    /// What it takes, in a few words; empty if nothing is said.
    pub input_type: String,
    /// What it answers, in a few words; empty if nothing is said.
    pub output_type: String,
    /// A JSON Schema of what it takes, as the guest has it: nobody has read it.
    pub input_schema: Option<String>,
    /// A JSON Schema of what it answers, likewise.
    pub output_schema: Option<String>,
    /// Whether it means to answer from what earlier calls left in memory.
    pub answers_from_memory: bool,
    /// Whether its answers follow from state and input alone, whatever the height.
    pub height_independent: bool,
}

impl MetashrewRuntime {
    /// The guest's views by name, without `__meta`, each with what the guest says of it. That
    /// was asked once, when the guest was loaded.
    ///
    /// ```
    /// # fn list(runtime: &metashrew_runtime::MetashrewRuntime) {
    /// for view in runtime.views() {
    ///     println!("{}: {}", view.name, view.doc);
    /// }
    /// # }
    /// ```
    pub fn views(&self) -> &[ViewDescription] {
        &self.description().views
    }

    /// Checks that the guest has a view of that name.
    ///
    /// # Errors
    /// [`ViewError::NoSuchView`] if it does not.
    pub fn check_view(&self, name: &str) -> Result<(), ViewError> {
        self.guest().view(name).map(drop)
    }

    /// Which instances answer `view`, as it was settled at the start.
    pub fn instances_of(&self, view: &str) -> ViewInstances {
        self.view_engine().instances_of(view)
    }

    /// What the guest is for, in its author's words; empty if it does not say.
    pub fn guest_doc(&self) -> &str {
        &self.description().doc
    }

    /// What lies under which of the guest's keys, as it says itself: nobody has checked it.
    pub fn storages(&self) -> &[Storage] {
        &self.description().storages
    }

    /// How the keys of the storage of that name begin, if the guest tells of one. Of two of one
    /// name, the first counts.
    pub fn storage_prefix(&self, name: &str) -> Option<&[u8]> {
        let mut storages = self.storages().iter();
        let storage = storages.find(|storage| storage.name == name)?;
        Some(&storage.prefix)
    }

    /// Whether the guest says that the answers of `view` follow from state and input alone,
    /// whatever the height (`docs/abi.md`). No if there is no such view.
    pub fn is_height_independent(&self, view: &str) -> bool {
        let guest = self.guest();
        guest
            .view(view)
            .is_ok_and(|view| guest.height_independent.contains(&view.index))
    }
}

/// What a guest says of itself, as far as it is kept.
pub(crate) struct Description {
    views: Vec<ViewDescription>,
    doc: String,
    storages: Vec<Storage>,
}

impl Description {
    pub(crate) fn of(guest: &Guest, meta: IndexerMetadata) -> Self {
        Self {
            views: of_views(guest, meta.view_functions),
            doc: meta.doc,
            storages: meta.storage,
        }
    }
}

/// The guest's views by name. What it says of views that it does not have is left out; of what
/// it says twice, the first counts.
fn of_views(guest: &Guest, said: Vec<ViewFunction>) -> Vec<ViewDescription> {
    let mut told = BTreeMap::new();
    for view in said {
        told.entry(view.name.clone()).or_insert(view);
    }
    let views = guest.views().filter(|view| view.name != imports::META);
    let described = views.map(|view| ViewDescription {
        answers_from_memory: guest.answers_from_memory.contains(&view.index),
        height_independent: guest.height_independent.contains(&view.index),
        ..described(view.name, told.remove(view.name).unwrap_or_default())
    });
    described.collect()
}

fn described(name: &str, told: ViewFunction) -> ViewDescription {
    let schema = |text: String| (!text.is_empty()).then_some(text);
    ViewDescription {
        name: name.to_owned(),
        doc: told.doc,
        input_type: told.input_type,
        output_type: told.output_type,
        input_schema: schema(told.input_schema),
        output_schema: schema(told.output_schema),
        ..ViewDescription::default()
    }
}
