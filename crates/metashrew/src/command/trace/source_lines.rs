//! Where the guest's functions are in its source, if its module has debug information.
//!
//! That tells of offsets in the module as it was compiled by its author, which frames have;
//! WebAssembly engines see another one, whose stack is counted.

use addr2line::Context;
use addr2line::gimli::{self, EndianSlice, LittleEndian, SectionId};
use metashrew_runtime::GuestFrame;
use wasmparser::{Parser, Payload};

type Slice = EndianSlice<'static, LittleEndian>;

/// A function of the guest, or one that was inlined into it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Site {
    pub(super) function: String,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
}

/// The debug information of a guest.
pub(super) struct SourceLines {
    /// None if the guest has none.
    dwarf: Option<Context<Slice>>,
    /// Where the content of the code section begins: addresses count from there.
    code: usize,
}

impl SourceLines {
    /// Of the guest `wasm`, without those that cannot be read.
    pub(super) fn of(wasm: &'static [u8]) -> Self {
        let (mut sections, mut code) = (Vec::new(), 0);
        for payload in Parser::new(0).parse_all(wasm) {
            match payload {
                Ok(Payload::CustomSection(section)) if section.name().starts_with(".debug_") => {
                    sections.push((section.name(), section.data()));
                }
                Ok(Payload::CodeSectionStart { range, .. }) => code = range.start,
                Ok(_) => {}
                Err(_) => break,
            }
        }
        let section = |id: SectionId| {
            let found = sections.iter().find(|(name, _)| *name == id.name());
            let data = found.map_or(&[][..], |(_, data)| *data);
            Ok::<_, gimli::Error>(EndianSlice::new(data, LittleEndian))
        };
        let dwarf = (!sections.is_empty())
            .then(|| {
                gimli::Dwarf::load(section)
                    .and_then(Context::from_dwarf)
                    .ok()
            })
            .flatten();
        Self { dwarf, code }
    }

    /// The functions at a frame, the innermost of the inlined ones first.
    pub(super) fn sites(&self, frame: &GuestFrame) -> Vec<Site> {
        let mut sites = self.inlined(frame).unwrap_or_default();
        // The outermost is the frame's own function, whose name the module may tell in full.
        match sites.last_mut() {
            Some(site) => site.function.clone_from(&frame.function),
            None => sites.push(Site {
                function: frame.function.clone(),
                ..Site::default()
            }),
        }
        sites
    }

    fn inlined(&self, frame: &GuestFrame) -> Option<Vec<Site>> {
        let address = frame.offset?.checked_sub(self.code)?;
        let address = u64::try_from(address).ok()?;
        let mut found = self
            .dwarf
            .as_ref()?
            .find_frames(address)
            .skip_all_loads()
            .ok()?;
        let mut sites = Vec::new();
        while let Ok(Some(inlined)) = found.next() {
            let name = inlined
                .function
                .as_ref()
                .and_then(|name| name.raw_name().ok());
            let name = name.map_or_else(String::new, |name| {
                format!("{:#}", rustc_demangle::demangle(&name))
            });
            let place = inlined.location;
            sites.push(Site {
                function: name,
                file: place
                    .as_ref()
                    .and_then(|place| place.file.map(str::to_owned)),
                line: place.and_then(|place| place.line),
            });
        }
        Some(sites)
    }
}
