//! Fields that backends say again and again, made once for each thread.
//!
//! A field of HTTP/2 is a name that was looked up and a value in memory of its own. Most of an
//! answer's are the same as those of the answer before, and then they are only compared.
//!
//! Nothing of one client's is kept, and nothing long.

use http::{HeaderName, HeaderValue};
use std::cell::RefCell;

const PLACES: usize = 64;
const LONGEST: usize = 64;
/// Of one client.
const PRIVATE: &str = "set-cookie";

thread_local! {
    static KNOWN: RefCell<[Option<(HeaderName, HeaderValue)>; PLACES]> =
        const { RefCell::new([const { None }; PLACES]) };
}

/// `None` when it cannot be said in HTTP.
pub(crate) fn field(name: &[u8], value: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    if value.len() > LONGEST {
        return made(name, value);
    }
    KNOWN.with_borrow_mut(|known| {
        let place = &mut known[place(name, value)];
        if let Some((same, said)) = place
            && said.as_bytes() == value
            && same.as_str().as_bytes().eq_ignore_ascii_case(name)
        {
            return Some((same.clone(), said.clone()));
        }
        let field = made(name, value)?;
        if field.0 != PRIVATE {
            *place = Some(field.clone());
        }
        Some(field)
    })
}

fn made(name: &[u8], value: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    Some((HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?))
}

/// Names differ by their lengths and ends, and so do values, mostly.
fn place(name: &[u8], value: &[u8]) -> usize {
    let end = |bytes: &[u8]| bytes.last().map_or(0, |last| usize::from(*last | 0x20));
    let name = name.len().wrapping_mul(7).wrapping_add(end(name));
    let value = value.len().wrapping_mul(5).wrapping_add(end(value));
    name.wrapping_mul(3).wrapping_add(value) % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_what_was_said_however_often_and_in_whatever_case() {
        for (name, value) in [("Server", "x"), ("SERVER", "x"), ("server", "y"), ("Server", "x")] {
            let (made, said) = field(name.as_bytes(), value.as_bytes()).unwrap();
            assert_eq!((made.as_str(), said.as_bytes()), ("server", value.as_bytes()));
        }
        let long = "v".repeat(1000);
        assert_eq!(field(b"etag", long.as_bytes()).unwrap().1, long);
        assert!(field(b"a b", b"c").is_none());
        assert!(field(b"a", b"c\n").is_none());
    }

    #[test]
    fn what_is_one_clients_is_forgotten() {
        assert!(field(b"Set-Cookie", b"id=7").is_some());
        KNOWN.with_borrow(|known| {
            assert!(known.iter().flatten().all(|(name, _)| name != PRIVATE));
        });
    }
}
