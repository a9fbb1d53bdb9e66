//! The fields of a request that is over. What was known of them gave its place to those of the answer, and hardly
//! anybody asks: whoever does has the head parsed once more.

use crate::route::Fields;
use crate::wire::head::{self, Field};
use crate::wire::view::View;
use std::cell::{Cell, OnceCell};

thread_local! {
    /// Memory that is used again.
    static SPARE: Cell<Vec<Field>> = const { Cell::new(Vec::new()) };
}

pub(super) struct LateFields<'a> {
    /// Of which the head is the beginning.
    pub(super) bytes: &'a [u8],
    parsed: OnceCell<Vec<Field>>,
}

impl<'a> LateFields<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, parsed: OnceCell::new() }
    }

    #[cold]
    fn view(&self) -> View<'_> {
        let fields = self.parsed.get_or_init(|| {
            let mut fields = SPARE.take();
            head::parse(self.bytes, &Default::default(), &mut fields);
            fields
        });
        View::of(self.bytes, fields)
    }
}

impl Fields for LateFields<'_> {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.view().any(name, test)
    }

    fn first(&self, name: &str) -> Option<&[u8]> {
        self.view().named(name).next()
    }

    fn each(&self, line: &mut dyn FnMut(&[u8], &[u8])) {
        self.view().each(line);
    }
}

impl Drop for LateFields<'_> {
    fn drop(&mut self) {
        if let Some(fields) = self.parsed.take() {
            SPARE.set(fields);
        }
    }
}
