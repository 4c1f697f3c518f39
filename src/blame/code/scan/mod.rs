//! One pass over all code: who refers to what.
//!
//! No disassembler: each architecture has a handful of instructions by which
//! code names an address, and only addresses that mean something are kept.

mod aarch64;
mod ppc64le;
mod s390x;
mod x86_64;

use std::collections::HashSet;

use object::elf;

use super::addresses::Addresses;
use super::functions::Functions;
use super::image::{Filled, Image, Slot};
use super::{CannotSay, Machine};

/// Bytes of code read at a time.
const WINDOW: u64 = 1 << 20;
/// Bytes of the window before and after it that an instruction may reach.
const MARGIN: u64 = 32;
/// References kept at most of each kind. 26 MB of code have some 600,000.
const MOST: usize = 1 << 23;
/// The longest way from the start of a stub to where it names its slot, in
/// bytes: that of `__tls_get_addr_opt` on ppc64le has eleven instructions.
const LONGEST_STUB: u64 = 48;
/// The same of every other stub: two instructions before it on ppc64le.
const LONG_STUB: u64 = 8;

/// No function: padding, or a stub.
pub const NOBODY: u32 = u32::MAX;

/// How code names an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// A call or jump through the slot at the address.
    CallThrough,
    /// The eight bytes there are read.
    Load,
    /// What stands there is read otherwise, or written.
    Access,
    /// The address itself is taken.
    Take,
}

/// A function that names the slot of an import, itself or by a stub.
#[derive(Debug, Clone, Copy)]
pub struct Use {
    pub function: u32,
    pub slot: u32,
    pub site: u64,
    /// The slot is one of a table in data, and not of the table that code
    /// reads addresses from.
    pub in_data: bool,
}

/// What was found, functions and slots by their positions.
#[derive(Debug, Default)]
pub struct Found {
    pub uses: Vec<Use>,
    /// Caller and callee.
    pub calls: Vec<(u32, u32)>,
    /// Who takes the address of whom.
    pub taken: Vec<(u32, u32)>,
    /// Who names which address in data.
    pub data: Vec<(u32, u64)>,
}

/// What happens first behind an address between functions.
#[derive(Debug, Clone, Copy)]
enum Event {
    Slot(u32),
    To(u64),
}

/// A range of addresses.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u64,
    end: u64,
    /// The table of addresses that code reads (`.got`), not data.
    is_got: bool,
}

/// Takes what an architecture's scanner sees, and keeps what means something.
pub struct Sink<'a> {
    functions: &'a Functions,
    starts: Addresses,
    slots: &'a [Slot],
    slot_addresses: Addresses,
    data: Vec<Span>,
    data_range: (u64, u64),
    code_range: (u64, u64),
    /// Sections of stubs: their slots are nobody's use.
    stubs: Vec<(u64, u64)>,
    machine: Machine,
    /// The function that the scanner is in, and its bounds; between functions
    /// the bounds of the gap.
    function: u32,
    here: (u64, u64),
    found: Found,
    /// Branches to what is no function's start.
    pending: Vec<(u32, u64, u64)>,
    /// What unwinding calls a function and is a group of stubs.
    groups: HashSet<u32>,
    events: Vec<(u64, Event)>,
}

/// Scans all code of the file.
pub fn scan(image: &Image<'_>, functions: &Functions, slots: &[Slot]) -> Result<Found, CannotSay> {
    let mut sink = Sink::new(image, functions, slots);
    let toc = image.named(".got").map_or(0, |got| got.address.wrapping_add(0x8000));
    let got = image.offset_table()?;
    let mut sections: Vec<_> = image.sections.iter().filter(|section| section.is_code()).collect();
    sections.sort_unstable_by_key(|section| section.address);
    for section in sections {
        let mut x86_64 = x86_64::Scanner { fixed: image.fixed };
        let mut s390x = s390x::Scanner::new(got);
        let mut ppc64le = ppc64le::Scanner::new(toc);
        let mut aarch64 = aarch64::Scanner::default();
        let mut at = 0;
        while at < section.size {
            let from = at.saturating_sub(MARGIN);
            let until = (at + WINDOW).min(section.size);
            let to = (until + MARGIN).min(section.size);
            let bytes = image.read(section.offset + from, to - from, "code")?;
            let window = Window {
                bytes: &bytes,
                address: section.address.wrapping_add(from),
                from: (at - from) as usize,
                until: (until - from) as usize,
            };
            match image.machine {
                Machine::X86_64 => x86_64.scan(&window, &mut sink),
                Machine::S390x => s390x.scan(&window, &mut sink),
                Machine::Ppc64le => ppc64le.scan(&window, &mut sink),
                Machine::Aarch64 => aarch64.scan(&window, &mut sink),
            }
            sink.check()?;
            at = until;
        }
    }
    Ok(sink.finish())
}

/// Code in memory. Instructions are looked for from `from` to before `until`;
/// what lies around is there for those that reach over the edge.
pub struct Window<'a> {
    bytes: &'a [u8],
    address: u64,
    from: usize,
    until: usize,
}

/// Half-finished addresses, by the register that holds them. Several of each,
/// because the order of the bytes is not that of the run.
#[derive(Default)]
struct Bases {
    values: [[u64; Bases::MOST]; 32],
    counts: [u8; 32],
    /// The one that a register has for sure, because nothing but this way leads
    /// here from where it was made.
    last: [Option<u64>; 32],
}

impl Bases {
    const MOST: usize = 8;

    fn remember(&mut self, register: usize, base: u64) {
        self.last[register] = Some(base);
        if self.of(register).contains(&base) {
            return;
        }
        // The newest takes the place of the oldest.
        let count = usize::from(self.counts[register]);
        self.values[register][count % Self::MOST] = base;
        let next = if count + 1 == 2 * Self::MOST { Self::MOST } else { count + 1 };
        self.counts[register] = next as u8;
    }

    fn of(&self, register: usize) -> &[u64] {
        let count = usize::from(self.counts[register]).min(Self::MOST);
        &self.values[register][..count]
    }

    /// The one that reaches here on the straight way, else all. Other ways lead
    /// to the same: an instruction names one symbol's half, whose other half
    /// every way must have brought.
    fn reaching(&self, register: usize) -> &[u64] {
        match &self.last[register] {
            Some(last) => std::slice::from_ref(last),
            None => self.of(register),
        }
    }

    /// Something else may have been put into a register.
    fn lose(&mut self, register: usize) {
        self.last[register] = None;
    }

    /// What follows is reached from elsewhere.
    fn part(&mut self) {
        self.last = [None; 32];
    }

    fn forget(&mut self) {
        self.counts = [0; 32];
        self.part();
    }
}

impl<'a> Sink<'a> {
    fn new(image: &Image<'_>, functions: &'a Functions, slots: &'a [Slot]) -> Self {
        let mut data: Vec<Span> = image
            .data()
            .map(|section| Span { start: section.address, end: section.end(), is_got: section.is_got() })
            .collect();
        data.sort_unstable_by_key(|span| span.start);
        let range = |spans: &mut dyn Iterator<Item = (u64, u64)>| {
            spans.fold((u64::MAX, 0), |(low, high), (start, end)| (low.min(start), high.max(end)))
        };
        let data_range = range(&mut data.iter().map(|span| (span.start, span.end)));
        let mut code = image
            .sections
            .iter()
            .filter(|section| section.is_code())
            .map(|section| (section.address, section.end()));
        Self {
            functions,
            starts: Addresses::new(functions.entries.iter().map(|entry| entry.start).collect()),
            slots,
            slot_addresses: Addresses::new(slots.iter().map(|slot| slot.address).collect()),
            data,
            data_range,
            code_range: range(&mut code),
            stubs: image
                .sections
                .iter()
                .filter(|section| section.is_code() && section.is_stubs())
                .map(|section| (section.address, section.end()))
                .collect(),
            machine: image.machine,
            function: NOBODY,
            here: (0, 0),
            found: Found::default(),
            pending: Vec::new(),
            groups: HashSet::new(),
            events: Vec::new(),
        }
    }

    /// The scanner is at an address; whether another function begins there.
    #[inline]
    pub fn at(&mut self, address: u64) -> bool {
        if address >= self.here.0 && address < self.here.1 {
            return false;
        }
        self.enter(address);
        true
    }

    #[cold]
    fn enter(&mut self, address: u64) {
        let entries = &self.functions.entries;
        let after = entries.partition_point(|entry| entry.start <= address);
        let next = entries.get(after).map_or(u64::MAX, |entry| entry.start);
        match after.checked_sub(1).map(|at| (at, entries[at])) {
            Some((at, entry)) if address < entry.end => {
                (self.function, self.here) = (at as u32, (entry.start, entry.end));
            }
            before => {
                (self.function, self.here) = (NOBODY, (before.map_or(0, |(_, entry)| entry.end), next));
            }
        }
    }

    #[inline]
    pub fn is_near(&self, address: u64) -> bool {
        (address >= self.data_range.0 && address < self.data_range.1)
            || (address >= self.code_range.0 && address < self.code_range.1)
    }

    #[inline]
    fn is_code(&self, address: u64) -> bool {
        address >= self.code_range.0 && address < self.code_range.1
    }

    /// A direct call or jump.
    #[inline]
    pub fn branch(&mut self, site: u64, target: u64) {
        if !self.is_code(target) || (self.function != NOBODY && target > self.here.0 && target < self.here.1)
        {
            return;
        }
        if self.function == NOBODY {
            self.events.push((site, Event::To(target)));
        } else if let Some(callee) = self.function_at(target).filter(|_| !self.hides_stubs()) {
            self.found.calls.push((self.function, callee));
        } else {
            self.pending.push((self.function, target, site));
        }
    }

    /// Whether what unwinding calls a function may be a group of stubs, as bfd
    /// has it on ppc64le.
    fn hides_stubs(&self) -> bool {
        self.machine == Machine::Ppc64le && !self.functions.named
    }

    /// A stub's way to a slot, wherever it stands.
    fn stub(&mut self, site: u64, target: u64) {
        if let Some(slot) = self.slot_addresses.find(target) {
            self.events.push((site, Event::Slot(slot as u32)));
            if self.hides_stubs() {
                self.groups.insert(self.function);
            }
        }
    }

    #[inline]
    fn function_at(&self, target: u64) -> Option<u32> {
        if let Some(at) = self.starts.find(target) {
            return Some(at as u32);
        }
        if self.machine == Machine::Ppc64le { self.functions.starting(target) } else { None }
    }

    /// Another way to name an address. Whether it was an address of interest.
    #[inline]
    pub fn names(&mut self, site: u64, target: u64, how: How) -> bool {
        if target >= self.data_range.0 && target < self.data_range.1 {
            self.names_data(site, target, how)
        } else if how == How::Take && self.is_code(target) {
            self.takes(site, target)
        } else {
            false
        }
    }

    fn names_data(&mut self, site: u64, target: u64, how: How) -> bool {
        if let Some(slot) = self.slot_addresses.find(target) {
            let slot = slot as u32;
            if self.function == NOBODY {
                self.events.push((site, Event::Slot(slot)));
                return true;
            }
            if self.is_got(target) {
                // Where addresses are made in two halves, the first may be
                // that of another; nobody but a load wants a slot.
                let in_halves = matches!(self.machine, Machine::Ppc64le | Machine::Aarch64);
                let is_pair = self.slots[slot as usize].is_pair;
                if in_halves && !is_pair && !matches!(how, How::Load | How::CallThrough) {
                    return false;
                }
                self.through(self.function, slot, site, how);
                return true;
            }
            let (function, filled) = (self.function, self.slots[slot as usize].filled);
            match filled {
                Filled::Copy(_) => self.found.uses.push(Use { function, slot, site, in_data: false }),
                // A table that is read at a known place names what stands there.
                Filled::Symbol(_) if how != How::Take => {
                    self.found.uses.push(Use { function, slot, site, in_data: true });
                }
                Filled::Symbol(_) | Filled::Own(_) => {}
            }
        }
        if self.function != NOBODY && !self.is_got(target) {
            self.found.data.push((self.function, target));
            return true;
        }
        false
    }

    fn is_got(&self, address: u64) -> bool {
        let after = self.data.partition_point(|span| span.start <= address);
        after.checked_sub(1).is_some_and(|at| self.data[at].is_got && address < self.data[at].end)
    }

    /// What stands in a slot is called or taken.
    fn through(&mut self, function: u32, slot: u32, site: u64, how: How) {
        match self.slots[slot as usize].filled {
            Filled::Symbol(_) | Filled::Copy(_) => {
                self.found.uses.push(Use { function, slot, site, in_data: false });
            }
            Filled::Own(target) => match self.function_at(target) {
                Some(callee) if how == How::CallThrough => self.found.calls.push((function, callee)),
                Some(callee) => self.found.taken.push((function, callee)),
                None if target >= self.data_range.0 && target < self.data_range.1 => {
                    self.found.data.push((function, target));
                }
                None => {}
            },
        }
    }

    fn takes(&mut self, site: u64, target: u64) -> bool {
        if self.function == NOBODY {
            self.events.push((site, Event::To(target)));
            return true;
        }
        match self.function_at(target) {
            Some(callee) if callee != self.function => self.found.taken.push((self.function, callee)),
            Some(_) => {}
            // Perhaps a stub: the address of an import in a fixed program.
            None if target < self.here.0 || target >= self.here.1 => {
                self.pending.push((self.function, target, site));
            }
            None => return false,
        }
        true
    }

    fn check(&self) -> Result<(), CannotSay> {
        let found = &self.found;
        let lengths = [
            found.uses.len(),
            found.calls.len(),
            found.taken.len(),
            found.data.len(),
            self.pending.len(),
            self.events.len(),
        ];
        if lengths.iter().any(|len| *len > MOST) {
            return Err(CannotSay::TooMuch("references in its code"));
        }
        Ok(())
    }

    /// Follows branches into stubs, and drops what was found twice.
    fn finish(mut self) -> Found {
        self.events.sort_unstable_by_key(|(site, _)| *site);
        let mut entered = vec![false; self.events.len()];
        for (function, target, site) in std::mem::take(&mut self.pending) {
            let own = self.function_at(target);
            let is_stub = own.is_none_or(|own| self.groups.contains(&own));
            let longest = if is_stub { LONGEST_STUB } else { LONG_STUB };
            let Some(mut at) = self.behind(target, longest) else {
                self.found.calls.extend(own.map(|callee| (function, callee)));
                continue;
            };
            entered[at] = true;
            if let Event::To(callee) = self.events[at].1 {
                if let Some(callee) = self.function_at(callee) {
                    self.found.calls.push((function, callee));
                    continue;
                }
                // Perhaps a long branch to a stub.
                let Some(next) = self.behind(callee, LONGEST_STUB) else { continue };
                entered[next] = true;
                at = next;
            }
            if let Event::Slot(slot) = self.events[at].1 {
                self.through(function, slot, site, How::CallThrough);
            }
        }
        // Code that nobody calls and no symbol names.
        for ((site, event), entered) in std::mem::take(&mut self.events).into_iter().zip(entered) {
            if let Event::Slot(slot) = event
                && !entered
                && !self.stubs.iter().any(|(start, end)| (*start..*end).contains(&site))
                && !matches!(self.slots[slot as usize].filled, Filled::Own(_))
            {
                self.found.uses.push(Use { function: NOBODY, slot, site, in_data: false });
            }
        }
        let mut found = self.found;
        found.uses.retain(|one| one.function == NOBODY || !self.groups.contains(&one.function));
        for edges in [&mut found.calls, &mut found.taken] {
            edges.retain(|(from, to)| from != to);
            edges.sort_unstable();
            edges.dedup();
        }
        found.data.sort_unstable();
        found.data.dedup();
        found
    }

    /// What the stub that begins at an address does, as a position of `events`.
    fn behind(&self, address: u64, longest: u64) -> Option<usize> {
        let at = self.events.partition_point(|(site, _)| *site < address);
        let (site, _) = self.events.get(at)?;
        (site - address <= longest).then_some(at)
    }
}

/// Relocation types that the scanners' callers have to tell apart: each
/// architecture's psABI.
impl Machine {
    pub fn is_relative(self, kind: elf::RelocationType) -> bool {
        let own = match self {
            Self::X86_64 => [elf::R_X86_64_RELATIVE, elf::R_X86_64_IRELATIVE],
            Self::S390x => [elf::R_390_RELATIVE, elf::R_390_IRELATIVE],
            Self::Ppc64le => [elf::R_PPC64_RELATIVE, elf::R_PPC64_IRELATIVE],
            Self::Aarch64 => [elf::R_AARCH64_RELATIVE, elf::R_AARCH64_IRELATIVE],
        };
        own.contains(&kind)
    }

    pub fn is_pair(self, kind: elf::RelocationType) -> bool {
        let own = match self {
            Self::X86_64 => [elf::R_X86_64_DTPMOD64, elf::R_X86_64_TLSDESC],
            Self::S390x => [elf::R_390_TLS_DTPMOD, elf::R_390_TLS_DTPMOD],
            Self::Ppc64le => [elf::R_PPC64_DTPMOD64, elf::R_PPC64_DTPMOD64],
            Self::Aarch64 => [elf::R_AARCH64_TLS_DTPMOD, elf::R_AARCH64_TLSDESC],
        };
        own.contains(&kind)
    }

    pub fn is_copy(self, kind: elf::RelocationType) -> bool {
        kind == match self {
            Self::X86_64 => elf::R_X86_64_COPY,
            Self::S390x => elf::R_390_COPY,
            Self::Ppc64le => elf::R_PPC64_COPY,
            Self::Aarch64 => elf::R_AARCH64_COPY,
        }
    }
}
