//! The head as a lane reads it: the same fields, in the one form that Serin forwards.

use crate::wire::head::{Field, Head};
use bytes::BytesMut;

/// Mostly the bytes that came. An absolute-form target is written anew, in origin-form; so are the
/// fields, where they are given because some that came are not among them.
pub(crate) fn of(head: &Head, bytes: &BytesMut, fields: Option<&[Field]>) -> BytesMut {
    if head.target == head.target_as_sent && head.begins == 0 && fields.is_none() {
        return bytes.clone();
    }
    let mut replayed = BytesMut::with_capacity(bytes.len());
    replayed.extend_from_slice(&bytes[head.begins..head.target_as_sent.from]);
    let target = head.target.of(bytes);
    if !target.starts_with(b"/") && target != b"*" {
        replayed.extend_from_slice(b"/");
    }
    replayed.extend_from_slice(target);
    let rest = &bytes[head.target_as_sent.to..];
    let Some(fields) = fields else {
        replayed.extend_from_slice(rest);
        return replayed;
    };
    let line_end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
    replayed.extend_from_slice(&rest[..line_end]);
    for field in fields {
        for part in [field.name.of(bytes), b": ", field.value.of(bytes), b"\r\n"] {
            replayed.extend_from_slice(part);
        }
    }
    replayed.extend_from_slice(b"\r\n");
    replayed
}
