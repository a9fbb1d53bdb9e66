//! One YAML text → a tree in which every key and value knows its place.
//!
//! A tree of our own rather than serde's visitors, because serde stops at the first fault and
//! an operator wants all of them (docs/decisions/0004-a-tree-before-types.md). Depth, nodes and
//! bytes are bounded while the tree grows, aliases included, so no text can cost more than its
//! budget.

use crate::budget::{Budget, MAX_NODES, MAX_TEXT, Size};
use crate::env::{self, EnvFault};
use crate::load::Environment;
use crate::report::{Report, shown};
use crate::source::{Place, Source};
use crate::syntax;
use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span};
use std::collections::HashMap;

/// Deeper than any configuration is.
pub(crate) const MAX_DEPTH: usize = 32;

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) at: Place,
    pub(crate) value: Value,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    Scalar {
        text: String,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Its fault has been reported; to be read as if it were absent, and never called missing.
    Broken,
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_at: Place,
    pub(crate) value: Node,
    /// It came by `<<: *anchor`, so its place lies elsewhere.
    pub(crate) aliased: bool,
}

impl Value {
    /// As messages name what was found.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Scalar { .. } => "a single value",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
            Self::Broken => "a broken value",
        }
    }
}

/// `None` when the text is not YAML or over budget; the report says why.
pub(crate) fn parse(
    file: u16,
    source: &Source,
    environment: &Environment,
    budget: &mut Budget,
    report: &mut Report,
) -> Option<Node> {
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut builder = Builder {
        file,
        source,
        environment,
        budget,
        report,
        open: Vec::new(),
        anchors: HashMap::new(),
        root: None,
        documents: 0,
    };
    for event in Parser::new_from_str_with_options(&source.text, options) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                builder.syntax(&error);
                return None;
            }
        };
        builder.event(event, span).ok()?;
    }
    let end = Place { file, whole: false, start: 0, end: 0 };
    builder.root.or(Some(Node { at: end, value: Value::Null }))
}

/// The text cannot be read on; the report has the reason.
struct Stop;

/// A collection that is not closed yet.
struct Open {
    at: Place,
    block: bool,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<(String, Place)> },
}

struct Builder<'a> {
    file: u16,
    source: &'a Source,
    environment: &'a Environment,
    budget: &'a mut Budget,
    report: &'a mut Report,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, Size)>,
    root: Option<Node>,
    documents: usize,
}

impl Builder<'_> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the parser's enum is open")]
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Stop> {
        let at = self.place(&span);
        match event {
            Event::DocumentStart(..) => self.document(at),
            Event::Scalar(text, style, anchor, tag) => {
                self.spend(at, Size { nodes: 1, text: text.len() })?;
                let known = self.tag(at, tag.as_deref());
                let value = if known { self.scalar(at, &text, style)? } else { Value::Broken };
                self.done(Node { at, value }, anchor)
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.tag(at, tag.as_deref());
                self.begin(at, style, anchor, Content::List(Vec::new()))
            }
            Event::MappingStart(style, anchor, tag) => {
                self.tag(at, tag.as_deref());
                self.begin(at, style, anchor, Content::Map { entries: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(at),
            Event::Alias(anchor) => self.alias(at, anchor),
            _ => Ok(()),
        }
    }

    fn place(&self, span: &Span) -> Place {
        let range = span.byte_range().unwrap_or_default();
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Place { file: self.file, whole: false, start: offset(range.start), end: offset(range.end) }
    }

    fn spend(&mut self, at: Place, size: Size) -> Result<(), Stop> {
        if self.budget.spend(size.nodes, size.text) {
            return Ok(());
        }
        self.report
            .error(at, "the configuration is too large")
            .label(format!("here it passes {MAX_NODES} values or {} MiB", MAX_TEXT >> 20))
            .hint("an alias (`*name`) counts as often as it is used");
        Err(Stop)
    }

    fn document(&mut self, at: Place) -> Result<(), Stop> {
        self.documents += 1;
        if self.documents < 2 {
            return Ok(());
        }
        self.report
            .error(at, "a second document begins here")
            .hint("put it into a file of its own: all *.yaml files of a folder are read together");
        Err(Stop)
    }

    /// Whether a tag changes nothing.
    fn tag(&mut self, at: Place, tag: Option<&granit_parser::Tag>) -> bool {
        let foreign = tag.filter(|tag| !tag.is_yaml_core_schema());
        if let Some(tag) = foreign {
            self.report
                .error(at, format!("the tag {} means nothing here", shown(&tag.original())))
                .hint("remove the tag");
        }
        foreign.is_none()
    }

    fn scalar(&mut self, at: Place, text: &str, style: ScalarStyle) -> Result<Value, Stop> {
        let plain = style == ScalarStyle::Plain;
        if plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
            return Ok(Value::Null);
        }
        if !text.contains("${") {
            return Ok(Value::Scalar { text: text.to_owned() });
        }
        let expanded = &mut self.report.expanded;
        match env::expand(text, self.environment, |name, value| expanded.variable(name, value)) {
            Ok(value) => {
                self.spend(at, Size { nodes: 0, text: value.len() })?;
                self.report.expanded.scalar(at, text, &value);
                Ok(Value::Scalar { text: value })
            }
            Err(fault @ EnvFault::Unread(_)) => {
                let name = fault.within(self.source, at);
                self.report.unknown(name, fault.to_string()).hint(fault.hint());
                Ok(Value::Broken)
            }
            Err(fault) => {
                let name = fault.within(self.source, at);
                self.report.error(name, fault.to_string()).hint(fault.hint());
                Ok(Value::Broken)
            }
        }
    }

    fn begin(
        &mut self,
        at: Place,
        style: granit_parser::StructureStyle,
        anchor: usize,
        content: Content,
    ) -> Result<(), Stop> {
        if self.open.len() >= MAX_DEPTH {
            self.too_deep(at);
            return Err(Stop);
        }
        self.spend(at, Size { nodes: 1, text: 0 })?;
        let block = style == granit_parser::StructureStyle::Block;
        self.open.push(Open { at, block, anchor, content });
        Ok(())
    }

    fn too_deep(&mut self, at: Place) {
        self.report
            .error(at, format!("nested more than {MAX_DEPTH} deep"))
            .hint("no configuration is nested this deeply; is a bracket unclosed?");
    }

    fn end(&mut self, at: Place) -> Result<(), Stop> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        // A block collection has no brackets to point at: a list has its dash, and a mapping's
        // first key stands for it.
        let at = match &open.content {
            Content::Map { entries, .. } if open.block => {
                entries.first().map_or(open.at, |entry| entry.key_at)
            }
            Content::List(_) if open.block => Place { end: open.at.start + 1, ..open.at },
            Content::Map { .. } | Content::List(_) => Place { end: at.end, ..open.at },
        };
        let value = match open.content {
            Content::List(items) => Value::List(items),
            Content::Map { entries, .. } => Value::Map(self.merged(entries)),
        };
        self.done(Node { at, value }, open.anchor)
    }

    fn alias(&mut self, at: Place, anchor: usize) -> Result<(), Stop> {
        let Some((_, size)) = self.anchors.get(&anchor) else {
            // The parser has refused unknown names; this one is not closed yet.
            self.report.error(at, "an alias inside the value it stands for");
            return Err(Stop);
        };
        let size = *size;
        self.spend(at, size)?;
        let value = self.anchors.get(&anchor).map(|(node, _)| node.value.clone());
        self.done(Node { at, value: value.unwrap_or(Value::Null) }, 0)
    }

    /// A whole node takes its place in what is open.
    fn done(&mut self, node: Node, anchor: usize) -> Result<(), Stop> {
        if anchor != 0 {
            let size = Size::of(&node);
            self.spend(node.at, size)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.content {
            Content::List(items) => items.push(node),
            Content::Map { entries, key } => match key.take() {
                Some((key, key_at)) => {
                    entries.push(Entry { key, key_at, value: node, aliased: false });
                }
                None => match node.value {
                    Value::Scalar { text } => *key = Some((text, node.at)),
                    Value::Null | Value::List(_) | Value::Map(_) | Value::Broken => {
                        self.report.error(node.at, format!("{} as a key", node.value.kind()));
                        return Err(Stop);
                    }
                },
            },
        }
        Ok(())
    }

    /// Refuses a key that stands twice, and resolves `<<`.
    fn merged(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let mut first: HashMap<String, Place> = HashMap::with_capacity(entries.len());
        let mut kept = Vec::with_capacity(entries.len());
        let mut merges = Vec::new();
        for entry in entries {
            if entry.key == "<<" {
                merges.push(entry);
                continue;
            }
            if let Some(earlier) = first.get(&entry.key) {
                self.report
                    .error(entry.key_at, format!("{} stands twice", shown(&entry.key)))
                    .label("the second")
                    .also(*earlier, "the first")
                    .hint("keep one of them");
                continue;
            }
            first.insert(entry.key.clone(), entry.key_at);
            kept.push(entry);
        }
        for merge in merges {
            let parts = match merge.value.value {
                Value::Map(entries) => vec![entries],
                Value::List(items) => items.into_iter().filter_map(entries_of).collect(),
                Value::Null | Value::Scalar { .. } | Value::Broken => {
                    self.report
                        .error(merge.key_at, "`<<` merges mappings")
                        .hint("write `<<: *name`, with `&name` at the mapping to merge");
                    continue;
                }
            };
            for entry in parts.into_iter().flatten() {
                if first.insert(entry.key.clone(), entry.key_at).is_none() {
                    kept.push(Entry { aliased: true, ..entry });
                }
            }
        }
        kept
    }

    fn syntax(&mut self, error: &ScanError) {
        let start = u32::try_from(error.marker().byte_offset().unwrap_or_default());
        let start = start.unwrap_or_default();
        let at = Place { file: self.file, whole: false, start, end: start };
        if *error.kind() == ErrorKind::RecursionLimitExceeded {
            return self.too_deep(at);
        }
        let (label, hint) = syntax::said(error.kind());
        let draft = self.report.error(at, format!("not YAML: {}", error.info()));
        draft.label(label);
        if !hint.is_empty() {
            draft.hint(hint);
        }
    }
}

fn entries_of(node: Node) -> Option<Vec<Entry>> {
    match node.value {
        Value::Map(entries) => Some(entries),
        Value::Null | Value::Scalar { .. } | Value::List(_) | Value::Broken => None,
    }
}
