//! Bytes of one class and byte order, with the place of every named field, for `patch-field`.

#[derive(Debug, Clone)]
pub struct Encoder {
    pub bytes: Vec<u8>,
    pub fields: Vec<Field>,
    wide: bool,
    big_endian: bool,
}

#[derive(Debug, Clone)]
pub struct Field {
    pub name: String,
    pub offset: usize,
    pub size: usize,
}

impl Encoder {
    pub fn new(wide: bool, big_endian: bool) -> Self {
        Self { bytes: Vec::new(), fields: Vec::new(), wide, big_endian }
    }

    pub fn is_wide(&self) -> bool {
        self.wide
    }

    pub fn u16(&mut self, name: impl Into<String>, value: u16) {
        self.field(name, 2, value.into());
    }

    pub fn u32(&mut self, name: impl Into<String>, value: u32) {
        self.field(name, 4, value.into());
    }

    /// An address, offset or size: as wide as the class.
    pub fn word(&mut self, name: impl Into<String>, value: u64) {
        self.field(name, if self.wide { 8 } else { 4 }, value);
    }

    pub fn field(&mut self, name: impl Into<String>, size: usize, value: u64) {
        self.fields.push(Field { name: name.into(), offset: self.bytes.len(), size });
        self.bytes.resize(self.bytes.len() + size, 0);
        let offset = self.bytes.len() - size;
        self.overwrite(offset, size, value);
    }

    /// Keeps the low `size` bytes of `value`.
    pub fn overwrite(&mut self, offset: usize, size: usize, value: u64) {
        let place = &mut self.bytes[offset..offset + size];
        if self.big_endian {
            place.copy_from_slice(&value.to_be_bytes()[8 - size..]);
        } else {
            place.copy_from_slice(&value.to_le_bytes()[..size]);
        }
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub fn align(&mut self, to: usize) {
        self.pad_until(self.bytes.len().next_multiple_of(to));
    }

    pub fn pad_until(&mut self, length: usize) {
        assert!(self.bytes.len() <= length, "the layout went backwards");
        self.bytes.resize(length, 0);
    }

    pub fn append(&mut self, part: &Self) {
        let base = self.bytes.len();
        self.bytes.extend_from_slice(&part.bytes);
        self.fields
            .extend(part.fields.iter().map(|field| Field { offset: base + field.offset, ..field.clone() }));
    }
}
