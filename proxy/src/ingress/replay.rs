//! The head as a lane reads it: the same fields, in the one form that Serin forwards.

use crate::wire::head::{Field, Head};
use bytes::BytesMut;

/// Mostly the bytes that came. Only an absolute-form target is written anew, in origin-form.
pub(super) fn of(head: &Head, bytes: &BytesMut, _fields: &[Field]) -> BytesMut {
    if head.target == head.target_as_sent && head.begins == 0 {
        return bytes.clone();
    }
    let mut replayed = BytesMut::with_capacity(bytes.len());
    replayed.extend_from_slice(&bytes[head.begins..head.target_as_sent.from]);
    let target = head.target.of(bytes);
    if !target.starts_with(b"/") && target != b"*" {
        replayed.extend_from_slice(b"/");
    }
    replayed.extend_from_slice(target);
    replayed.extend_from_slice(&bytes[head.target_as_sent.to..]);
    replayed
}
