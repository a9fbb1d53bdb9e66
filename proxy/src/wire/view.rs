//! The fields of a head that was read, by name.

use super::head::Field;

#[derive(Debug)]
pub struct View<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) fields: &'a [Field],
    /// A bit for each length of a name, so that most of what is asked for and is not there costs
    /// no search.
    lengths: u64,
}

impl<'a> View<'a> {
    pub fn of(bytes: &'a [u8], fields: &'a [Field]) -> Self {
        let lengths = fields.iter().fold(0, |lengths, field| lengths | bit(field.name.len()));
        Self { bytes, fields, lengths }
    }

    /// The values of a name's lines, in order.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let (bytes, name) = (self.bytes, name.as_bytes());
        let may = self.lengths & bit(name.len()) != 0;
        let fields = if may { self.fields } else { &[] };
        let same = move |field: &&Field| {
            field.name.len() == name.len() && field.name.of(bytes).eq_ignore_ascii_case(name)
        };
        fields.iter().filter(same).map(|field| field.value.of(bytes))
    }

    /// Every line's name and value, in order.
    pub fn lines(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let bytes = self.bytes;
        self.fields.iter().map(move |field| (field.name.of(bytes), field.value.of(bytes)))
    }
}

fn bit(length: usize) -> u64 {
    1 << length.min(63)
}
