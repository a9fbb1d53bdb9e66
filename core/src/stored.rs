//! Bytes in which the judge's and the objectives' state survive a crash.
//!
//! `core` has no serialiser; what it keeps is a handful of numbers, mostly small differences,
//! so unsigned varints and raw floats are enough. Every stored state begins with a tag that names
//! its kind and form. Bytes that cannot be understood are an error, never a panic and never a guess.

use std::fmt;
use std::ops::RangeInclusive;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredError {
    /// Another kind of state, or a form that this release does not know.
    Tag { found: u8, known: u8 },
    /// The bytes end in the middle.
    Short,
    /// A number that cannot be: a length past its bound, a float that is none, bytes left over.
    Nonsense(&'static str),
}

impl fmt::Display for StoredError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag { found, known } => {
                write!(f, "stored state has form {found}, this release reads form {known}")
            }
            Self::Short => f.write_str("stored state ends too early"),
            Self::Nonsense(what) => write!(f, "stored state is damaged: {what}"),
        }
    }
}

impl std::error::Error for StoredError {}

#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn tagged(tag: u8) -> Self {
        Self(vec![tag])
    }

    pub(crate) fn u64(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value as u8) | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub(crate) fn f64(&mut self, value: f64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.0.push(u8::from(value));
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.u64(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    /// Something that only makes sense for one question, in a frame of its own.
    pub(crate) fn block(&mut self, question: &impl fmt::Debug, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.u64(mark(question));
        self.u64(inner.0.len() as u64);
        self.0.extend_from_slice(&inner.0);
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn tagged(bytes: &'a [u8], known: u8) -> Result<Self, StoredError> {
        Ok(Self::of_forms(bytes, known..=known)?.0)
    }

    /// Any of several forms, and which it is.
    pub(crate) fn of_forms(
        bytes: &'a [u8],
        known: RangeInclusive<u8>,
    ) -> Result<(Self, u8), StoredError> {
        let (found, rest) = bytes.split_first().ok_or(StoredError::Short)?;
        match known.contains(found) {
            true => Ok((Self(rest), *found)),
            false => Err(StoredError::Tag { found: *found, known: *known.end() }),
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], StoredError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(StoredError::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, StoredError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(StoredError::Nonsense("a number is too long"))
    }

    /// A length or an index, which must stay within `most`.
    pub(crate) fn count(&mut self, most: usize) -> Result<usize, StoredError> {
        match usize::try_from(self.u64()?) {
            Ok(count) if count <= most => Ok(count),
            Ok(_) | Err(_) => Err(StoredError::Nonsense("a length is past its bound")),
        }
    }

    pub(crate) fn f64(&mut self) -> Result<f64, StoredError> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8)?);
        let value = f64::from_le_bytes(bytes);
        if value.is_nan() { Err(StoredError::Nonsense("a number is none")) } else { Ok(value) }
    }

    pub(crate) fn bool(&mut self) -> Result<bool, StoredError> {
        match self.take(1)?[0] {
            0 => Ok(false),
            1 => Ok(true),
            2.. => Err(StoredError::Nonsense("neither yes nor no")),
        }
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, StoredError> {
        let length = self.count(256)?;
        std::str::from_utf8(self.take(length)?)
            .map_err(|_| StoredError::Nonsense("a name is not text"))
    }

    /// A block whatever its question.
    pub(crate) fn any_block(&mut self) -> Result<Block<'a>, StoredError> {
        let mark = self.u64()?;
        let length = self.count(1 << 20)?;
        Ok(Block { mark, bytes: self.take(length)? })
    }

    /// The next block, if it was written for this question.
    pub(crate) fn block(
        &mut self,
        question: &impl fmt::Debug,
    ) -> Result<Option<Reader<'a>>, StoredError> {
        Ok(self.any_block()?.answers(question))
    }

    pub(crate) fn finish(self) -> Result<(), StoredError> {
        if self.0.is_empty() { Ok(()) } else { Err(StoredError::Nonsense("bytes are left over")) }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Block<'a> {
    mark: u64,
    bytes: &'a [u8],
}

impl<'a> Block<'a> {
    pub(crate) fn answers(self, question: &impl fmt::Debug) -> Option<Reader<'a>> {
        (self.mark == mark(question)).then_some(Reader(self.bytes))
    }
}

/// Two questions that read alike are alike. FNV-1a: stable over releases of the toolchain.
fn mark(question: &impl fmt::Debug) -> u64 {
    let text = format!("{question:?}");
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
