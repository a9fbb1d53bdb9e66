//! Header fields as routing and sessions read them, whoever holds them.
//!
//! HTTP/2 has a header map, HTTP/1 a slice of the head that was read. Names are asked
//! for in lower case.

use crate::wire::view::View;

/// The fields of one request.
pub trait Fields {
    /// Whether any line of this name passes `test`.
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool;

    /// The first line of this name.
    fn first(&self, name: &str) -> Option<&[u8]>;

    /// Every line, in order.
    fn each(&self, info: &mut dyn FnMut(&[u8], &[u8]));
}

/// Among so few fields looking at each is quicker than computing where one would stand.
const FEW: usize = 16;

impl Fields for http::HeaderMap {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        if self.len() > FEW {
            return self.get_all(name).iter().any(|value| test(value.as_bytes()));
        }
        self.iter().any(|(own, value)| own.as_str() == name && test(value.as_bytes()))
    }

    fn first(&self, name: &str) -> Option<&[u8]> {
        if self.len() > FEW {
            return self.get(name).map(http::HeaderValue::as_bytes);
        }
        let value = self.iter().find(|(own, _)| own.as_str() == name).map(|(_, value)| value);
        value.map(http::HeaderValue::as_bytes)
    }

    fn each(&self, info: &mut dyn FnMut(&[u8], &[u8])) {
        self.iter().for_each(|(name, value)| info(name.as_str().as_bytes(), value.as_bytes()));
    }
}

impl Fields for View<'_> {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.named(name).any(test)
    }

    fn first(&self, name: &str) -> Option<&[u8]> {
        self.named(name).next()
    }

    fn each(&self, info: &mut dyn FnMut(&[u8], &[u8])) {
        self.lines().for_each(|(name, value)| info(name, value));
    }
}

/// Calls `info` with each cookie of the request until it says `true`. HTTP/2 may send one line
/// per cookie, so every line is read.
pub fn any_cookie(fields: &dyn Fields, info: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> bool {
    fields.any("cookie", &mut |line| {
        line.split(|byte| *byte == b';').any(|pair| {
            let pair = pair.trim_ascii();
            match pair.iter().position(|byte| *byte == b'=') {
                Some(at) => info(&pair[..at], unquoted(&pair[at + 1..])),
                None => false,
            }
        })
    })
}

/// A cookie's value may stand in double quotes.
fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value)
}
