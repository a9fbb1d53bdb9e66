//! Names from the configuration, and the identity of a rollout.
//!
//! A name is checked once, here; it is cheap to clone because every request
//! and every metric carries some.

use std::fmt;
use std::sync::Arc;

/// The longest name: what fits a DNS label, so that names can become labels elsewhere.
pub const MAX_NAME: usize = 63;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameError {
    Empty,
    TooLong { length: usize },
    Character { found: char, at: usize },
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a name cannot be empty"),
            Self::TooLong { length } => {
                write!(f, "a name has at most {MAX_NAME} characters, this one has {length}")
            }
            Self::Character { found, at } => write!(
                f,
                "{found:?} at position {at} cannot stand in a name; letters, digits, '-', '_' and '.' can, and it begins with a letter or digit"
            ),
        }
    }
}

impl std::error::Error for NameError {}

fn checked(text: &str) -> Result<Arc<str>, NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > MAX_NAME {
        return Err(NameError::TooLong { length: text.len() });
    }
    for (at, found) in text.chars().enumerate() {
        let inner = at > 0 && matches!(found, '-' | '_' | '.');
        if !(found.is_ascii_alphanumeric() || inner) {
            return Err(NameError::Character { found, at });
        }
    }
    Ok(Arc::from(text))
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The only way to make one.
            pub fn new(text: &str) -> Result<Self, NameError> {
                checked(text).map(Self)
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }
    };
}

name! {
    /// An application behind Serin.
    ServiceName
}
name! {
    /// One running release of a service.
    VersionName
}
name! {
    /// A route, as named in a route file.
    RouteName
}

/// Counts the rollouts of one service, from 1. A session's cookie carries the epoch in
/// which it was assigned; a proxy refuses a split of a lower epoch than it has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Epoch(pub u64);

impl Epoch {
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Names one rollout for ever: the service and its epoch, `checkout-17`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RolloutId(Arc<str>);

impl RolloutId {
    pub fn new(service: &ServiceName, epoch: Epoch) -> Self {
        Self(Arc::from(format!("{service}-{}", epoch.0)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RolloutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RolloutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_letters_digits_and_inner_punctuation() {
        assert!(ServiceName::new("checkout-v2.1_b").is_ok());
        assert_eq!(ServiceName::new(""), Err(NameError::Empty));
        assert_eq!(ServiceName::new("-x"), Err(NameError::Character { found: '-', at: 0 }));
        assert_eq!(ServiceName::new("a b"), Err(NameError::Character { found: ' ', at: 1 }));
        assert_eq!(ServiceName::new(&"a".repeat(64)), Err(NameError::TooLong { length: 64 }));
    }
}
