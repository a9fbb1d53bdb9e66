//! Words for the mistakes in YAML that are made by hand.

use granit_parser::ErrorKind;

/// What an operator most likely did, for the mistakes that are made by hand.
#[expect(clippy::wildcard_enum_match_arm, reason = "the parser's enum is open")]
pub(crate) fn said(kind: &ErrorKind) -> (&'static str, &'static str) {
    match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart => ("a tab", "indent with spaces"),
        ErrorKind::UnclosedQuotedScalar => ("", "close the quotation mark"),
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::ExpectedFlowSequenceSeparator => {
            ("", "look for a `}`, a `]` or a comma that is missing before this place")
        }
        ErrorKind::MappingValueNotAllowed
        | ErrorKind::InvalidIndentation
        | ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::SimpleKeyExpected
        | ErrorKind::InvalidSimpleKey => (
            "",
            "look at the indentation of this line and the one before; a value with `: ` in it is put in quotes",
        ),
        ErrorKind::UnexpectedCharacter { .. } => {
            ("", "put a value that begins with this character in quotes")
        }
        ErrorKind::UnknownAnchor => {
            ("", "define it before, with `&name`; in quotes `*` is a plain character")
        }
        _ => ("", ""),
    }
}
