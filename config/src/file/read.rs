//! From a node of the tree to a typed value, or to a fault and nothing.
//!
//! Every type that a file can hold says two things about itself in one place: how it is read
//! and what its schema is. [`record!`] and [`words!`] write both from one declaration, so the
//! parser, `serin schema` and the documentation cannot drift apart. A default and the bounds of a
//! value stand in that declaration, too, and nowhere else.
//!
//! A reader never stops at a fault. What cannot be read becomes `None`, the rest is read on.

use crate::report::{Report, shown};
use crate::schema::Defs;
use crate::source::{At, Place};
use crate::suggest::{either, nearest};
use crate::yaml::{Entry, Node, Value};
use serde_json::Value as Json;

pub(crate) trait Read: Sized {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self>;
    fn schema(defs: &mut Defs) -> Json;
}

/// A value that files write as one of a few words.
pub(crate) trait Word {
    fn word(&self) -> &'static str;
}

#[derive(Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) report: &'a mut Report,
    /// The key whose value is being read: what a missing part is blamed on.
    pub(crate) owner: Place,
}

impl Reader<'_> {
    /// The entries of a mapping whose keys are all known.
    pub(crate) fn fields<'n>(
        &mut self,
        node: &'n Node,
        what: &'static str,
        keys: &[&'static str],
    ) -> Option<Fields<'n>> {
        let entries = match &node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            Value::Broken => return None,
            Value::Scalar { .. } | Value::List(_) => {
                self.mismatch(node, "a mapping", &format!("a mapping with {}", some(keys)));
                return None;
            }
        };
        let mut meant = Vec::new();
        for entry in entries.iter().filter(|entry| !keys.contains(&entry.key.as_str())) {
            if self.report.is_full() {
                self.report.error(entry.key_at, "unknown key");
                continue;
            }
            let near = nearest(&entry.key, keys.iter().copied());
            meant.extend(near);
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("{what} has {}", every(keys)),
            };
            self.report
                .error(entry.key_at, format!("unknown key {}", shown(&entry.key)))
                .label(format!("{what} has no such key"))
                .hint(hint);
        }
        Some(Fields { entries, owner: self.owner, what, meant })
    }

    /// A single value as text.
    pub(crate) fn text<'n>(&mut self, node: &'n Node, wanted: &str) -> Option<&'n str> {
        match &node.value {
            Value::Scalar { text } => Some(text),
            Value::Null => {
                self.report
                    .error(self.at(node), "has no value")
                    .hint(format!("write {wanted}, or remove the key"));
                None
            }
            Value::List(items) => {
                let draft = self.report.error(self.at(node), "a list where one value is expected");
                match items.as_slice() {
                    [_] => draft.hint("remove the brackets"),
                    _ => draft.hint(format!("write {wanted}")),
                };
                None
            }
            Value::Map(_) => {
                self.report
                    .error(self.at(node), "a mapping where one value is expected")
                    .hint(format!("write {wanted}"));
                None
            }
            Value::Broken => None,
        }
    }

    pub(crate) fn mismatch(&mut self, node: &Node, what: &str, wanted: &str) {
        let found = node.value.kind();
        self.report
            .error(self.at(node), format!("{found} where {what} is expected"))
            .hint(format!("write {wanted}"));
    }

    /// Where to point for a node: at itself, or at its key when it has no text of its own.
    pub(crate) fn at(&self, node: &Node) -> Place {
        match node.value {
            Value::Null => self.owner,
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) | Value::Broken => {
                node.at.whole()
            }
        }
    }
}

fn every(keys: &[&str]) -> String {
    let quoted: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
    quoted.join(", ")
}

fn some(keys: &[&str]) -> String {
    match keys {
        [a, b, c, _, ..] => format!("`{a}`, `{b}`, `{c}` and others"),
        few => every(few),
    }
}

/// The entries of one mapping while they are taken out by key.
#[derive(Debug)]
pub(crate) struct Fields<'n> {
    entries: &'n [Entry],
    owner: Place,
    what: &'static str,
    /// Keys that unknown ones were most likely meant to be: not to be called missing too.
    meant: Vec<&'static str>,
}

impl Fields<'_> {
    pub(crate) fn at(&self) -> Place {
        self.owner
    }

    pub(crate) fn optional<T: Read>(&self, key: &str, reader: &mut Reader<'_>) -> Option<At<T>> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        read_at(&entry.value, entry.key_at, reader)
    }

    pub(crate) fn required<T: Read>(&self, key: &str, reader: &mut Reader<'_>) -> Option<At<T>> {
        let given = self.entries.iter().any(|entry| entry.key == key);
        if !given && !self.meant.contains(&key) {
            reader
                .report
                .error(self.owner, format!("`{key}` is missing"))
                .hint(format!("{} needs `{key}`", self.what));
        }
        self.optional(key, reader)
    }
}

/// Reads a value that belongs to a key (or to its place in a list).
fn read_at<T: Read>(node: &Node, owner: Place, reader: &mut Reader<'_>) -> Option<At<T>> {
    let outer = std::mem::replace(&mut reader.owner, owner);
    let at = match node.value {
        Value::Scalar { .. } => node.at,
        Value::Null | Value::List(_) | Value::Map(_) | Value::Broken => owner,
    };
    let value = T::read(node, reader).map(|value| At { value, at });
    reader.owner = outer;
    value
}

impl<T: Read> Read for Vec<At<T>> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::List(items) => Some(
                items.iter().filter_map(|item| read_at(item, item.at.whole(), reader)).collect(),
            ),
            Value::Null => Some(Self::new()),
            Value::Broken => None,
            Value::Scalar { text } => {
                reader.mismatch(node, "a list", &format!("`[{}]`", brief(text)));
                None
            }
            Value::Map(_) => {
                reader.mismatch(node, "a list", "`- ` before each entry");
                None
            }
        }
    }

    fn schema(defs: &mut Defs) -> Json {
        let items = T::schema(defs);
        serde_json::json!({ "type": ["array", "null"], "items": items })
    }
}

fn brief(text: &str) -> String {
    shown(text).trim_matches('`').to_owned()
}

/// Values by names that the operator chooses, in the order of the file.
#[derive(Debug, Clone)]
pub(crate) struct Named<T>(pub(crate) Vec<(At<String>, T)>);

impl<T: Read> Read for Named<T> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Map(entries) => {
                let read = |entry: &Entry| {
                    let value = read_at(&entry.value, entry.key_at, reader)?;
                    let name = At { value: entry.key.clone(), at: entry.key_at };
                    Some((name, value.value))
                };
                Some(Self(entries.iter().filter_map(read).collect()))
            }
            Value::Null => Some(Self(Vec::new())),
            Value::Broken => None,
            Value::Scalar { .. } => {
                reader.mismatch(node, "a mapping", "`name: value` lines");
                None
            }
            Value::List(_) => {
                reader.mismatch(node, "a mapping", "`name: value` lines, without `- `");
                None
            }
        }
    }

    fn schema(defs: &mut Defs) -> Json {
        let values = T::schema(defs);
        serde_json::json!({ "type": ["object", "null"], "additionalProperties": values })
    }
}

/// The value of a declared default, read as it would be from a file.
pub(crate) fn declared<T: Read>(text: &str) -> T {
    let mut report = Report::default();
    let value =
        T::read(&declaration(text), &mut Reader { report: &mut report, owner: Place::default() });
    // A test reads every one of them.
    value.unwrap_or_else(|| unreachable!("the default {text} is declared and cannot be read"))
}

/// Lists are written `["a", "b"]`, as JSON and YAML both have them.
fn declaration(text: &str) -> Node {
    let scalar = |text: &str| Value::Scalar { text: text.to_owned() };
    let value = match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        None if text == "{}" => Value::Map(Vec::new()),
        None => scalar(text),
        Some(items) => {
            let items = items.split(',').map(|item| item.trim().trim_matches('"'));
            let items = items.filter(|item| !item.is_empty());
            let node = |item| Node { at: Place::default(), value: scalar(item) };
            Value::List(items.map(node).collect())
        }
    };
    Node { at: Place::default(), value }
}

/// The text of a word, or a fault that lists the words.
pub(crate) fn one_of<T: Copy>(
    node: &Node,
    reader: &mut Reader<'_>,
    what: &str,
    words: &[(&'static str, T)],
) -> Option<T> {
    let names: Vec<&'static str> = words.iter().map(|(name, _)| *name).collect();
    let text = reader.text(node, &either(&names))?;
    if let Some((_, value)) = words.iter().find(|(name, _)| *name == text) {
        return Some(*value);
    }
    let near = nearest(text, names.iter().copied());
    let draft = reader.report.error(reader.at(node), format!("{} is no {what}", shown(text)));
    match near {
        Some(near) => draft.label(format!("did you mean `{near}`?")),
        None => draft,
    }
    .hint(format!("write {}", either(&names)));
    None
}

/// A mapping with known keys: its struct, its reader and its schema.
macro_rules! record {
    (
        $(#[doc = $about:literal])*
        $name:ident, $what:literal {
            $(
                $(#[doc = $doc:literal])*
                $key:literal $mode:ident $field:ident : $ty:ty
                $(= $default:literal)? $(where $bounds:expr)?
            ),* $(,)?
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, Default)]
        pub(crate) struct $name {
            /// What a fault of the whole is blamed on.
            #[allow(dead_code)]
            pub(crate) at: $crate::source::Place,
            /// Some part has been reported: what is absent may only be unreadable.
            #[allow(dead_code)]
            pub(crate) broken: bool,
            $( $(#[doc = $doc])* pub(crate) $field: Option<$crate::source::At<$ty>>, )*
        }

        impl $crate::file::Read for $name {
            fn read(
                node: &$crate::yaml::Node,
                reader: &mut $crate::file::Reader<'_>,
            ) -> Option<Self> {
                let before = reader.report.errors();
                let fields = reader.fields(node, $what, &[$($key),*])?;
                $(
                    let $field = fields.$mode($key, reader);
                    let _default: Option<&str> = None $(.or(Some($default)))?;
                    $( let $field = $crate::file::within($field, &$bounds, _default, reader); )?
                )*
                let broken = reader.report.errors() > before;
                Some(Self { at: fields.at(), broken, $( $field, )* })
            }

            fn schema(defs: &mut $crate::schema::Defs) -> serde_json::Value {
                defs.record(stringify!($name), concat!($($about),*), |defs| {
                    vec![$( $crate::schema::Field {
                        key: $key,
                        about: concat!($($doc),*),
                        required: stringify!($mode) == "required",
                        default: None $(.or(Some($default)))?,
                        schema: {
                            let schema = <$ty as $crate::file::Read>::schema(defs);
                            $( let schema = $crate::file::said::<$ty>(schema, &$bounds); )?
                            schema
                        },
                    } ),*]
                })
            }
        }

        impl $name {
            $( $(
                /// What was written, or the default. Of a key that is declared and then forgotten
                /// the compiler says nothing here: `config/tests/defaults.rs` does.
                #[allow(dead_code)]
                pub(crate) fn $field(&self) -> $ty {
                    match &self.$field {
                        Some(found) => found.value.clone(),
                        None => $crate::file::declared($default),
                    }
                }
            )? )*
        }
    };
}

/// One of a few words, read straight into the type the program runs on.
macro_rules! words {
    ($ty:ty, $what:literal { $( $word:literal => $value:expr ),* $(,)? }) => {
        impl $crate::file::Read for $ty {
            fn read(
                node: &$crate::yaml::Node,
                reader: &mut $crate::file::Reader<'_>,
            ) -> Option<Self> {
                $crate::file::one_of(node, reader, $what, &[$( ($word, $value) ),*])
            }

            fn schema(_: &mut $crate::schema::Defs) -> serde_json::Value {
                $crate::schema::words(&[$($word),*])
            }
        }

        impl $crate::file::Word for $ty {
            fn word(&self) -> &'static str {
                let words = [$( ($word, $value) ),*];
                words.into_iter().find(|(_, value)| value == self).map_or("", |(word, _)| word)
            }
        }
    };
}

pub(crate) use {record, words};
