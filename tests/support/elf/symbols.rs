//! `.dynsym` and `.symtab`, `.gnu.version`, and the two hash tables.

use super::chunk::{Chunk, Home, Places, Strings};
use super::description::{Binding, Elf, Hash, Kind, Machine, Symbol, SymbolKind};
use super::encoder::Encoder;
use super::versions::elf_hash;

const SHT_SYMTAB: u32 = 2;
const SHT_HASH: u32 = 5;
const SHT_DYNSYM: u32 = 11;
const SHT_GNU_HASH: u32 = 0x6fff_fff6;
const SHT_GNU_VERSYM: u32 = 0x6fff_ffff;

/// What each defined symbol occupies in `.text` or `.data`.
pub const SYMBOL_SIZE: u64 = 16;

fn gnu_hash(name: &str) -> u32 {
    (name.bytes()).fold(5381_u32, |hash, byte| hash.wrapping_mul(33).wrapping_add(byte.into()))
}

fn is_hashed(symbol: &Symbol) -> bool {
    symbol.defined && symbol.binding != Binding::Local
}

impl Elf {
    /// Locals first, as `sh_info` wants it; what `.gnu.hash` finds last, by bucket.
    pub fn dynamic_symbols(&self) -> Vec<&Symbol> {
        let mut symbols: Vec<_> = self.symbols.iter().collect();
        let buckets = self.gnu_buckets();
        symbols.sort_by_key(|symbol| {
            let bucket = is_hashed(symbol).then(|| gnu_hash(&symbol.name) % buckets);
            (symbol.binding != Binding::Local, bucket)
        });
        symbols
    }

    fn gnu_buckets(&self) -> u32 {
        let hashed = self.symbols.iter().filter(|symbol| is_hashed(symbol)).count();
        hashed.div_ceil(2).max(1) as u32
    }

    pub fn dynamic_symbol_chunk(&self, strings: &mut Strings, places: &Places) -> Chunk {
        self.symbol_table(".dynsym", &self.dynamic_symbols(), strings, places)
    }

    pub fn static_symbol_chunk(&self, strings: &mut Strings, places: &Places) -> Option<Chunk> {
        let mut symbols: Vec<_> = self.static_symbols.iter().collect();
        if !self.has_dynamic() {
            symbols.extend(&self.symbols);
        }
        symbols.sort_by_key(|symbol| symbol.binding != Binding::Local);
        (!symbols.is_empty() || self.kind == Kind::Rel)
            .then(|| self.symbol_table(".symtab", &symbols, strings, places))
    }

    fn symbol_table(
        &self,
        table: &'static str,
        symbols: &[&Symbol],
        strings: &mut Strings,
        places: &Places,
    ) -> Chunk {
        let null = Symbol { binding: Binding::Local, kind: SymbolKind::NoType, ..Symbol::default() };
        let mut body = self.encoder();
        self.symbol(&mut body, table, &null, 0, strings, places);
        for (symbol, ordinal) in symbols.iter().zip(0..) {
            self.symbol(&mut body, table, symbol, ordinal, strings, places);
        }
        let (section_type, home, names) = match table {
            ".dynsym" => (SHT_DYNSYM, Home::Text, ".dynstr"),
            _ => (SHT_SYMTAB, Home::Nowhere, ".strtab"),
        };
        let locals = symbols.iter().filter(|symbol| symbol.binding == Binding::Local).count();
        let entry_size = if self.wide() { 24 } else { 16 };
        Chunk::new(table, section_type, home, self.word_size(), body).entries(entry_size, names, locals + 1)
    }

    fn symbol(
        &self,
        body: &mut Encoder,
        table: &str,
        symbol: &Symbol,
        ordinal: u64,
        strings: &mut Strings,
        places: &Places,
    ) {
        let field = |name| match table {
            ".dynsym" => format!("symbol[{}].{name}", symbol.name),
            _ => format!("static-symbol[{}].{name}", symbol.name),
        };
        let home = places.of(match symbol.kind {
            SymbolKind::Object | SymbolKind::Tls => ".data",
            SymbolKind::Func | SymbolKind::NoType => ".text",
        });
        let (value, size, section) = match (symbol.defined, symbol.kind) {
            (false, _) => (0, 0, 0),
            (true, SymbolKind::Tls) => (ordinal * SYMBOL_SIZE, SYMBOL_SIZE, home.section),
            (true, _) => (home.address + ordinal * SYMBOL_SIZE, SYMBOL_SIZE, home.section),
        };
        let value = symbol.value.unwrap_or(value);
        let info = (symbol.binding as u64) << 4 | symbol.kind as u64;
        body.u32(field("st_name"), strings.add(&symbol.name));
        if !body.is_wide() {
            body.word(field("st_value"), value);
            body.word(field("st_size"), size);
        }
        body.field(field("st_info"), 1, info);
        body.field(field("st_other"), 1, symbol.visibility as u64);
        body.u16(field("st_shndx"), section);
        if body.is_wide() {
            body.word(field("st_value"), value);
            body.word(field("st_size"), size);
        }
    }

    pub fn version_symbol_chunk(&self) -> anyhow::Result<Chunk> {
        let mut body = self.encoder();
        body.u16("versym[]", 0);
        for symbol in self.dynamic_symbols() {
            body.u16(format!("versym[{}]", symbol.name), self.version_index(symbol)?);
        }
        Ok(Chunk::new(".gnu.version", SHT_GNU_VERSYM, Home::Text, 2, body).entries(2, ".dynsym", 0))
    }

    pub fn gnu_hash_chunk(&self) -> Option<Chunk> {
        if !matches!(self.hash(), Hash::Gnu | Hash::Both) {
            return None;
        }
        let symbols = self.dynamic_symbols();
        let first = symbols.iter().position(|symbol| is_hashed(symbol));
        let hashes: Vec<u32> =
            symbols[first.unwrap_or(symbols.len())..].iter().map(|symbol| gnu_hash(&symbol.name)).collect();
        // As bfd: with nothing to find the offset is 1, so that the table does not tell how many symbols there are.
        let offset = first.map_or(1, |first| first as u32 + 1);
        let (bits, shift) = if self.wide() { (64, 6) } else { (32, 5) };
        let bloom = hashes
            .iter()
            .fold(0, |bloom: u64, hash| bloom | 1 << (hash % bits) | 1 << ((hash >> shift) % bits));
        let buckets = self.gnu_buckets();

        let mut body = self.encoder();
        body.u32("gnu_hash.nbuckets", buckets);
        body.u32("gnu_hash.symoffset", offset);
        body.u32("gnu_hash.bloom_size", 1);
        body.u32("gnu_hash.bloom_shift", shift);
        body.word("gnu_hash.bloom[0]", bloom);
        for bucket in 0..buckets {
            let start = hashes.iter().position(|hash| hash % buckets == bucket);
            body.u32(format!("gnu_hash.buckets[{bucket}]"), start.map_or(0, |start| start as u32 + offset));
        }
        for (i, hash) in hashes.iter().enumerate() {
            let ends_chain = hashes.get(i + 1).is_none_or(|next| next % buckets != hash % buckets);
            body.u32(format!("gnu_hash.chain[{i}]"), hash & !1 | u32::from(ends_chain));
        }
        let chunk = Chunk::new(".gnu.hash", SHT_GNU_HASH, Home::Text, self.word_size(), body);
        Some(chunk.entries(0, ".dynsym", 0))
    }

    pub fn sysv_hash_chunk(&self) -> Option<Chunk> {
        if !matches!(self.hash(), Hash::Sysv | Hash::Both) {
            return None;
        }
        let symbols = self.dynamic_symbols();
        let mut buckets = vec![0_u64; (symbols.len() / 2).max(1)];
        let mut chains = vec![0_u64];
        for (symbol, index) in symbols.iter().zip(1..) {
            let bucket = elf_hash(&symbol.name) as usize % buckets.len();
            chains.push(buckets[bucket]);
            buckets[bucket] = index;
        }
        // s390x alone (of the machines here) has wide entries in its wide files.
        let size = if self.machine == Machine::S390x && self.wide() { 8 } else { 4 };
        let mut body = self.encoder();
        body.field("hash.nbucket", size, buckets.len() as u64);
        body.field("hash.nchain", size, chains.len() as u64);
        for (i, value) in buckets.iter().enumerate() {
            body.field(format!("hash.buckets[{i}]"), size, *value);
        }
        for (i, value) in chains.iter().enumerate() {
            body.field(format!("hash.chain[{i}]"), size, *value);
        }
        let chunk = Chunk::new(".hash", SHT_HASH, Home::Text, self.word_size(), body);
        Some(chunk.entries(size as u64, ".dynsym", 0))
    }
}
