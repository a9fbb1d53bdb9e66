//! What the text of a configuration may cost: nodes and bytes, after aliases and variables.

use crate::yaml::{Node, Value};

/// Ten thousand routes are a third of a million nodes.
pub(crate) const MAX_NODES: usize = 1_000_000;
/// What all scalars together may hold after aliases and variables.
pub(crate) const MAX_TEXT: usize = 64 << 20;

/// What one load may still spend, over all its files.
#[derive(Debug)]
pub(crate) struct Budget {
    nodes: usize,
    text: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { nodes: MAX_NODES, text: MAX_TEXT }
    }
}

impl Budget {
    pub(crate) fn spend(&mut self, nodes: usize, text: usize) -> bool {
        let enough = self.nodes >= nodes && self.text >= text;
        self.nodes = self.nodes.saturating_sub(nodes);
        self.text = self.text.saturating_sub(text);
        enough
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) nodes: usize,
    pub(crate) text: usize,
}

impl Size {
    pub(crate) fn of(node: &Node) -> Self {
        let parts = |sizes: &mut dyn Iterator<Item = Self>| {
            sizes.fold(Self { nodes: 1, text: 0 }, |a, b| Self {
                nodes: a.nodes + b.nodes,
                text: a.text + b.text,
            })
        };
        match &node.value {
            Value::Null | Value::Broken => Self { nodes: 1, text: 0 },
            Value::Scalar { text } => Self { nodes: 1, text: text.len() },
            Value::List(items) => parts(&mut items.iter().map(Self::of)),
            Value::Map(entries) => parts(&mut entries.iter().map(|e| {
                let value = Self::of(&e.value);
                Self { nodes: value.nodes + 1, text: value.text + e.key.len() }
            })),
        }
    }
}
