//! One normal form of a path, matched *and* forwarded.
//!
//! Where a proxy matches one reading of a path and its backend acts on another, a rule for
//! `/admin` is walked around with `/a/../admin`, `//admin` or `/%61dmin`. So a path is read once,
//! here, as RFC 3986 (section 6.2.2) reads it: unreserved characters are decoded, escapes get
//! upper-case digits, dot segments and empty segments are resolved. What cannot have one meaning
//! for all readers is refused: encoded slashes, backslashes and NUL, a path that climbs above the
//! root, and dot segments that carry parameters (`/..;/`). Other parameters (`/a;x=1`) are part of
//! the path here and are cut off elsewhere; [`without_parameters`] is what is read there.
//!
//! It never decodes twice, and it is idempotent.

use std::borrow::Cow;
use std::fmt;

/// Why a path is answered with 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It does not begin with a slash.
    NotAbsolute,
    /// A space, a control character, a backslash or a fragment.
    Character,
    /// Not two hexadecimal digits after a percent sign.
    Escape,
    /// `%2f`, `%5c` or `%00`.
    EncodedSeparator,
    /// More `..` than there are segments before it.
    AboveRoot,
    /// A dot segment with parameters.
    DotParameters,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "the path does not begin with a slash",
            Self::Character => "a character that cannot stand in a path",
            Self::Escape => "a percent sign without two hexadecimal digits",
            Self::EncodedSeparator => "an encoded slash, backslash or NUL",
            Self::AboveRoot => "a path above the root",
            Self::DotParameters => "a dot segment with parameters",
        })
    }
}

impl std::error::Error for Refused {}

/// The normal form of a request target's path, without its query. Borrows when it already is.
pub fn normalise(raw: &str) -> Result<Cow<'_, str>, Refused> {
    if !raw.starts_with('/') {
        return Err(Refused::NotAbsolute);
    }
    if is_normal(raw.as_bytes())? {
        return Ok(Cow::Borrowed(raw));
    }
    let decoded = decode(raw.as_bytes())?;
    resolve(&decoded).map(Cow::Owned)
}

/// One pass over what most paths are: no escapes, no dots after slashes, no doubled slashes.
fn is_normal(raw: &[u8]) -> Result<bool, Refused> {
    let mut after_slash = false;
    let mut normal = true;
    for byte in raw {
        match byte {
            b'/' => {
                normal &= !after_slash;
                after_slash = true;
                continue;
            }
            b'.' => normal &= !after_slash,
            b'%' | 0x80.. => normal = false,
            0..=b' ' | 0x7f | b'\\' | b'#' | b'?' => return Err(Refused::Character),
            _ => {}
        }
        after_slash = false;
    }
    Ok(normal)
}

/// Escapes of unreserved characters become those characters, other escapes and raw bytes beyond
/// ASCII become escapes with upper-case digits.
fn decode(raw: &[u8]) -> Result<String, Refused> {
    let mut out = String::with_capacity(raw.len() + 8);
    let mut at = 0;
    while let Some(byte) = raw.get(at) {
        match byte {
            b'%' => {
                let value = escaped(raw.get(at + 1..at + 3).ok_or(Refused::Escape)?)?;
                match value {
                    b'/' | b'\\' | 0 => return Err(Refused::EncodedSeparator),
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                        out.push(char::from(value));
                    }
                    _ => push_escape(&mut out, value),
                }
                at += 3;
            }
            0x80.. => {
                push_escape(&mut out, *byte);
                at += 1;
            }
            _ => {
                out.push(char::from(*byte));
                at += 1;
            }
        }
    }
    Ok(out)
}

fn escaped(digits: &[u8]) -> Result<u8, Refused> {
    let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(Refused::Escape);
    match digits {
        [high, low] => Ok((digit(*high)? * 16 + digit(*low)?) as u8),
        _ => Err(Refused::Escape),
    }
}

fn push_escape(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

/// Removes empty and dot segments. A path that ends in one of them ends in a slash.
fn resolve(decoded: &str) -> Result<String, Refused> {
    let mut out = String::with_capacity(decoded.len());
    let mut segments = decoded[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "" | "." => {}
            ".." => match out.rfind('/') {
                Some(parent) => out.truncate(parent),
                None => return Err(Refused::AboveRoot),
            },
            _ if is_dotted_parameter(segment) => return Err(Refused::DotParameters),
            _ => {
                out.push('/');
                out.push_str(segment);
                if last {
                    return Ok(out);
                }
            }
        }
    }
    out.push('/');
    Ok(out)
}

/// `..;x` is a parent to some application servers, and a name to everyone else.
fn is_dotted_parameter(segment: &str) -> bool {
    let dotless = segment.strip_prefix("..").or_else(|| segment.strip_prefix('.'));
    dotless.is_some_and(|rest| parameters(rest) == Some(0))
}

/// Where the parameters of a segment begin: `;x=1`, or the same encoded.
fn parameters(segment: &str) -> Option<usize> {
    segment.find(';').into_iter().chain(segment.find("%3B")).min()
}

/// A path in normal form as those servers read it that cut parameters off its segments. `None` when
/// it has none, and means the same to everyone.
pub fn without_parameters(path: &str) -> Option<String> {
    if !path.bytes().any(|byte| matches!(byte, b';' | b'%')) {
        return None;
    }
    parameters(path)?;
    let bare = |segment: &str| segment[..parameters(segment).unwrap_or(segment.len())].to_owned();
    let bare: Vec<String> = path.split('/').map(bare).collect();
    // Dot segments with parameters were refused before, so none can appear.
    resolve(&bare.join("/")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_seen_in_every_segment_and_in_either_form() {
        let cases = [
            ("/admin;x=1", "/admin"),
            ("/;/admin", "/admin"),
            ("/;a/;b/admin;", "/admin"),
            ("/admin%3Bx", "/admin"),
            ("/a%3B;x/b;y/", "/a/b/"),
            ("/;", "/"),
        ];
        for (path, bare) in cases {
            assert_eq!(normalise(path).as_deref(), Ok(path));
            assert_eq!(without_parameters(path).as_deref(), Some(bare), "{path}");
        }
        for path in ["/", "/admin", "/a%20b", "/a=1,b"] {
            assert_eq!(without_parameters(path), None, "{path}");
        }
    }

    #[test]
    fn a_dot_segment_with_parameters_is_refused_in_either_form() {
        for path in ["/a/..;/b", "/.;x/b", "/a/..%3b/b", "/a/%2e%2e%3Bx/b", "/a/.%2e;"] {
            assert_eq!(normalise(path), Err(Refused::DotParameters), "{path}");
        }
    }
}
