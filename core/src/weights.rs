//! Shares of traffic, in basis points, that always sum to the whole.

use crate::ids::VersionName;
use std::fmt;

/// The whole: 10,000 basis points are 100%.
pub const WHOLE: u16 = 10_000;

/// A share between nothing and everything, in hundredths of a percent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct BasisPoints(u16);

impl BasisPoints {
    pub const ZERO: Self = Self(0);
    pub const WHOLE: Self = Self(WHOLE);
    pub const HALF: Self = Self(WHOLE / 2);

    pub fn new(points: u16) -> Option<Self> {
        (points <= WHOLE).then_some(Self(points))
    }

    pub fn get(self) -> u16 {
        self.0
    }

    /// What is left of the whole.
    #[must_use]
    pub fn rest(self) -> Self {
        Self(WHOLE - self.0)
    }

    pub fn ratio(self) -> f64 {
        f64::from(self.0) / f64::from(WHOLE)
    }
}

impl fmt::Display for BasisPoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 100, self.0 % 100);
        match part {
            0 => write!(f, "{whole}%"),
            p if p % 10 == 0 => write!(f, "{whole}.{}%", p / 10),
            p => write!(f, "{whole}.{p:02}%"),
        }
    }
}

impl fmt::Debug for BasisPoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WeightsError {
    Empty,
    Twice(VersionName),
    Sum(u32),
}

impl fmt::Display for WeightsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("weights name no version"),
            Self::Twice(version) => write!(f, "weights name version {version} twice"),
            Self::Sum(sum) => write!(f, "weights sum to {sum} basis points, not to {WHOLE}"),
        }
    }
}

impl std::error::Error for WeightsError {}

/// The share of each version of one service. Versions are listed once, in a fixed order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weights(Vec<(VersionName, BasisPoints)>);

impl Weights {
    /// The only general constructor; nothing downstream asks whether the sum is right.
    pub fn new(parts: Vec<(VersionName, BasisPoints)>) -> Result<Self, WeightsError> {
        if parts.is_empty() {
            return Err(WeightsError::Empty);
        }
        for (i, (version, _)) in parts.iter().enumerate() {
            if parts[..i].iter().any(|(earlier, _)| earlier == version) {
                return Err(WeightsError::Twice(version.clone()));
            }
        }
        let sum = parts.iter().map(|(_, w)| u32::from(w.get())).sum();
        if sum != u32::from(WHOLE) {
            return Err(WeightsError::Sum(sum));
        }
        Ok(Self(parts))
    }

    /// Everything to one version.
    pub fn all_to(version: VersionName) -> Self {
        Self(vec![(version, BasisPoints::WHOLE)])
    }

    /// `weight` to the candidate, the rest to stable. They are two different versions.
    pub fn two(stable: VersionName, candidate: VersionName, weight: BasisPoints) -> Self {
        debug_assert_ne!(stable, candidate);
        Self(vec![(stable, weight.rest()), (candidate, weight)])
    }

    pub fn of(&self, version: &VersionName) -> BasisPoints {
        self.0.iter().find(|(v, _)| v == version).map_or(BasisPoints::ZERO, |(_, w)| *w)
    }

    pub fn parts(&self) -> &[(VersionName, BasisPoints)] {
        &self.0
    }

    pub fn iter(&self) -> impl Iterator<Item = (&VersionName, BasisPoints)> {
        self.0.iter().map(|(v, w)| (v, *w))
    }
}
