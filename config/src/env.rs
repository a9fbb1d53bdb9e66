//! `${VAR}` and `${VAR:-default}` in a scalar; `$${` stands for `${` itself.
//!
//! Expansion happens after the text has been read as YAML, so a variable can change a value
//! and never the structure.

use crate::load::Environment;
use crate::source::{Place, Source};
use std::fmt;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum EnvFault {
    Unset(String),
    NotUnicode(String),
    Unclosed(String),
    Name(String),
    /// The environment is not for whoever wrote the text.
    Unread(String),
}

impl fmt::Display for EnvFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset(name) => write!(f, "the environment variable {name} is not set"),
            Self::NotUnicode(name) => write!(f, "the environment variable {name} is not UTF-8"),
            Self::Unclosed(name) => write!(f, "`${{{name}` is not closed"),
            Self::Name(name) => write!(f, "`{name}` is not the name of a variable"),
            Self::Unread(name) => write!(f, "`${{{name}}}` is not looked at"),
        }
    }
}

impl EnvFault {
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Unset(name) => {
                format!("set it, or give a default: `${{{name}:-value}}`")
            }
            Self::NotUnicode(_) => "set it to text in UTF-8".to_owned(),
            Self::Unread(name) => format!(
                "a text that is sent here reads no environment: give it a default, `${{{name}:-value}}`, or check the file where it runs"
            ),
            Self::Unclosed(_) => {
                "close it with `}`; for the characters themselves write `$${`".to_owned()
            }
            Self::Name(_) => {
                "a name has letters, digits and `_`; for the characters `${` themselves write `$${`"
                    .to_owned()
            }
        }
    }

    /// The reference within the scalar, when it can be found there as it is.
    pub(crate) fn within(&self, source: &Source, at: Place) -> Place {
        let (Self::Unset(name)
        | Self::NotUnicode(name)
        | Self::Unclosed(name)
        | Self::Name(name)
        | Self::Unread(name)) = self;
        let raw = source.text.get(at.start as usize..at.end as usize).unwrap_or_default();
        let wanted = format!("${{{name}");
        let Some(found) = raw.find(&wanted) else { return at };
        let length = raw[found..].find('}').map_or(wanted.len(), |end| end + 1);
        let start = at.start + u32::try_from(found).unwrap_or_default();
        Place { start, end: start + u32::try_from(length).unwrap_or_default(), ..at }
    }
}

/// `holds` hears of every variable that went into the text, and what it holds.
pub(crate) fn expand(
    text: &str,
    environment: &Environment,
    mut holds: impl FnMut(&str, &str),
) -> Result<String, EnvFault> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            out.push_str(&rest[..at]);
            out.push('{');
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let inside = &rest[at + 2..];
        let Some(end) = inside.find('}') else {
            return Err(EnvFault::Unclosed(inside.chars().take(40).collect()));
        };
        out.push_str(&value_of(&inside[..end], environment, &mut holds)?);
        rest = &inside[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn value_of(
    reference: &str,
    environment: &Environment,
    holds: &mut impl FnMut(&str, &str),
) -> Result<String, EnvFault> {
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    let mut bytes = name.bytes();
    let begins = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if !begins || !bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err(EnvFault::Name(name.to_owned()));
    }
    let value = match environment {
        Environment::Unread if default.is_some() => None,
        Environment::Unread => return Err(EnvFault::Unread(name.to_owned())),
        Environment::Fixed(variables) => variables.get(name).cloned(),
        Environment::Process => match std::env::var(name) {
            Ok(value) => Some(value),
            Err(std::env::VarError::NotPresent) => None,
            Err(std::env::VarError::NotUnicode(_)) => {
                return Err(EnvFault::NotUnicode(name.to_owned()));
            }
        },
    };
    if let Some(value) = &value {
        holds(name, value);
    }
    // As in a shell, `:-` also stands in for a variable that is empty.
    match (value, default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(EnvFault::Unset(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Result<String, EnvFault> {
        let variables = [("PORT", "8080"), ("EMPTY", "")];
        let variables = variables.map(|(k, v)| (k.to_owned(), v.to_owned()));
        expand(text, &Environment::Fixed(variables.into()), |_, _| {})
    }

    #[test]
    fn an_environment_that_is_not_read_gives_defaults_only() {
        let text = |text| expand(text, &Environment::Unread, |name, _| panic!("{name} was read"));
        assert_eq!(text("${PATH:-none}").as_deref(), Ok("none"));
        assert_eq!(text("${PATH}"), Err(EnvFault::Unread("PATH".to_owned())));
    }

    #[test]
    fn a_variable_its_default_and_the_characters_themselves() {
        assert_eq!(with("0.0.0.0:${PORT}").as_deref(), Ok("0.0.0.0:8080"));
        assert_eq!(with("${HOST:-localhost}:${PORT}").as_deref(), Ok("localhost:8080"));
        assert_eq!(with("${EMPTY:-x}${EMPTY}").as_deref(), Ok("x"));
        assert_eq!(with("$${PORT} costs $5").as_deref(), Ok("${PORT} costs $5"));
    }

    #[test]
    fn what_cannot_be_expanded_says_why() {
        assert_eq!(with("${NONE}"), Err(EnvFault::Unset("NONE".to_owned())));
        assert_eq!(with("${PORT"), Err(EnvFault::Unclosed("PORT".to_owned())));
        assert_eq!(with("${1}"), Err(EnvFault::Name("1".to_owned())));
    }
}
