//! How the values of `core` are written down in the journal.
//!
//! `core` knows no serde, so each stored type has a shape here that repeats its fields. The
//! derive checks them against the real type, so a field that is added there and forgotten here
//! does not compile. A field added later carries `#[serde(default)]`; anything else that would change
//! the meaning of old lines needs a new format number.

mod evidence;
mod position;
mod terms;

pub(crate) use evidence::EvidenceShape;
pub(super) use position::PhaseShape;
pub(crate) use position::PositionShape;
pub(crate) use terms::{ConditionsShape, TermsShape};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serin_core::ids::{Epoch, RolloutId, ServiceName};
use serin_core::rollout::{Conditions, Evidence, Position, Terms};
use serin_core::time::{Mono, Now, Wall};
use serin_core::weights::BasisPoints;
use std::fmt::Display;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

/// A shape and the type that it is the shape of.
pub(crate) trait Shape {
    type Of;
    fn write<S: Serializer>(value: &Self::Of, to: S) -> Result<S::Ok, S::Error>;
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self::Of, D::Error>;
}

/// Lets a derived shape stand inside [`Maybe`] and [`List`].
macro_rules! shape {
    ($($shape:ident => $of:ty),+ $(,)?) => { $(
        impl $crate::journal::schema::shape::Shape for $shape {
            type Of = $of;
            fn write<S: serde::Serializer>(value: &$of, to: S) -> Result<S::Ok, S::Error> {
                $shape::serialize(value, to)
            }
            fn read<'de, D: serde::Deserializer<'de>>(from: D) -> Result<$of, D::Error> {
                $shape::deserialize(from)
            }
        }
    )+ };
}
pub(crate) use shape;

/// One value in its shape, for serde's own containers.
pub(crate) struct Shaped<S: Shape>(pub S::Of);
struct Borrowed<'a, S: Shape>(&'a S::Of);

impl<S: Shape<Of: Clone>> Clone for Shaped<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Shape<Of: std::fmt::Debug>> std::fmt::Debug for Shaped<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&self.0, f)
    }
}

impl<S: Shape> Serialize for Shaped<S> {
    fn serialize<T: Serializer>(&self, to: T) -> Result<T::Ok, T::Error> {
        S::write(&self.0, to)
    }
}

impl<S: Shape> Serialize for Borrowed<'_, S> {
    fn serialize<T: Serializer>(&self, to: T) -> Result<T::Ok, T::Error> {
        S::write(self.0, to)
    }
}

impl<'de, S: Shape> Deserialize<'de> for Shaped<S> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        S::read(from).map(Self)
    }
}

pub(crate) struct Maybe<S>(PhantomData<S>);

impl<S: Shape> Maybe<S> {
    pub(crate) fn serialize<T: Serializer>(
        value: &Option<S::Of>,
        to: T,
    ) -> Result<T::Ok, T::Error> {
        value.as_ref().map(Borrowed::<S>).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<S::Of>, D::Error> {
        Ok(Option::<Shaped<S>>::deserialize(from)?.map(|shaped| shaped.0))
    }
}

pub(crate) struct List<S>(PhantomData<S>);

impl<S: Shape> List<S> {
    pub(crate) fn serialize<T: Serializer>(values: &[S::Of], to: T) -> Result<T::Ok, T::Error> {
        to.collect_seq(values.iter().map(Borrowed::<S>))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<S::Of>, D::Error> {
        Ok(Vec::<Shaped<S>>::deserialize(from)?.into_iter().map(|shaped| shaped.0).collect())
    }
}

/// Names: whatever is written as its text and read by its own rules.
pub(crate) struct Text<T>(PhantomData<T>);

impl<N: Display + FromStr<Err: Display>> Text<N> {
    pub(crate) fn serialize<T: Serializer>(value: &N, to: T) -> Result<T::Ok, T::Error> {
        to.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<N, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl<N: Display + FromStr<Err: Display>> Shape for Text<N> {
    type Of = N;
    fn write<S: Serializer>(value: &N, to: S) -> Result<S::Ok, S::Error> {
        Self::serialize(value, to)
    }
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<N, D::Error> {
        Self::deserialize(from)
    }
}

/// A duration that must come back as it was: seconds and nanoseconds.
pub(crate) mod exact {
    use super::*;

    pub(crate) fn serialize<T: Serializer>(value: &Duration, to: T) -> Result<T::Ok, T::Error> {
        (value.as_secs(), value.subsec_nanos()).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let (seconds, nanos) = <(u64, u32)>::deserialize(from)?;
        Ok(Duration::new(seconds, nanos))
    }
}

/// A moment for people, as RFC 3339 in UTC with milliseconds.
pub(crate) struct Moment;

impl Moment {
    pub(crate) fn serialize<T: Serializer>(value: &Wall, to: T) -> Result<T::Ok, T::Error> {
        let moment = jiff::Timestamp::from_millisecond(value.0).unwrap_or_default();
        to.collect_str(&format_args!("{moment:.3}"))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Wall, D::Error> {
        let moment: jiff::Timestamp =
            String::deserialize(from)?.parse().map_err(D::Error::custom)?;
        Ok(Wall(moment.as_millisecond()))
    }
}

impl Shape for Moment {
    type Of = Wall;
    fn write<S: Serializer>(value: &Wall, to: S) -> Result<S::Ok, S::Error> {
        Self::serialize(value, to)
    }
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Wall, D::Error> {
        Self::deserialize(from)
    }
}

/// In the journal's positions, to the millisecond.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Wall")]
pub(crate) struct WallShape(i64);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Mono")]
pub(crate) struct MonoShape(u64);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Epoch")]
pub(crate) struct EpochShape(u64);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Now")]
pub(crate) struct NowShape {
    #[serde(with = "MonoShape")]
    mono: Mono,
    #[serde(with = "WallShape")]
    wall: Wall,
}

pub(crate) struct PointsShape;

impl PointsShape {
    pub(crate) fn serialize<T: Serializer>(value: &BasisPoints, to: T) -> Result<T::Ok, T::Error> {
        to.serialize_u16(value.get())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BasisPoints, D::Error> {
        let points = u16::deserialize(from)?;
        BasisPoints::new(points)
            .ok_or_else(|| D::Error::custom(format!("{points} basis points are over the whole")))
    }
}

pub(crate) struct RolloutIdShape;

impl RolloutIdShape {
    pub(crate) fn serialize<T: Serializer>(value: &RolloutId, to: T) -> Result<T::Ok, T::Error> {
        to.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<RolloutId, D::Error> {
        let text = String::deserialize(from)?;
        let parsed = text.rsplit_once('-').and_then(|(service, epoch)| {
            let service = ServiceName::new(service).ok()?;
            Some(RolloutId::new(&service, Epoch(epoch.parse().ok()?)))
        });
        parsed.ok_or_else(|| D::Error::custom(format!("{text:?} names no rollout")))
    }
}

shape! {
    WallShape => Wall,
    NowShape => Now,
    PointsShape => BasisPoints,
    RolloutIdShape => RolloutId,
    PositionShape => Position,
    EvidenceShape => Evidence,
    TermsShape => Terms,
    ConditionsShape => Conditions,
}
