//! Mappings of plain values, which the program runs on just as the files write them: a key of one is
//! declared once, and its reader, default, bounds, schema, model and effective value all come from that.

use super::{Rate, Read, Share, Size};
use crate::effective::quantity;
use serde_json::Value as Json;
use std::time::Duration;

/// A value as it is written, and `T`, what the program runs on.
pub(crate) trait Setting<T>: Read {
    fn plain(self) -> T;
    fn shown(plain: &T) -> Json;
}

impl Setting<Duration> for Duration {
    fn plain(self) -> Duration {
        self
    }

    fn shown(plain: &Duration) -> Json {
        Json::from(quantity::duration(*plain))
    }
}

impl Setting<f64> for Share {
    fn plain(self) -> f64 {
        self.0
    }

    fn shown(plain: &f64) -> Json {
        Json::from(quantity::percent(*plain))
    }
}

impl Setting<u64> for Size {
    fn plain(self) -> u64 {
        self.0
    }

    fn shown(plain: &u64) -> Json {
        Json::from(quantity::size(*plain))
    }
}

impl Setting<u64> for Rate {
    fn plain(self) -> u64 {
        self.0
    }

    fn shown(plain: &u64) -> Json {
        Json::from(format!("{}/s", quantity::size(*plain)))
    }
}

/// Whose bounds, as declared, fit.
impl Setting<u32> for u64 {
    fn plain(self) -> u32 {
        u32::try_from(self).unwrap_or(u32::MAX)
    }

    fn shown(plain: &u32) -> Json {
        Json::from(*plain)
    }
}

/// A mapping of plain values: each `"key" field: T = Kind("default") where bounds`.
macro_rules! settings {
    (
        $(#[doc = $about:literal])*
        $name:ident, $what:literal {
            $(
                $(#[doc = $doc:literal])*
                $key:literal $field:ident : $ty:ty = $kind:ident($default:literal) $(where $bounds:expr)?
            ),* $(,)?
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub struct $name {
            $( $(#[doc = $doc])* pub $field: $ty, )*
        }

        impl Default for $name {
            fn default() -> Self {
                use $crate::file::Setting as _;
                Self { $( $field: $crate::file::declared::<$kind>($default).plain(), )* }
            }
        }

        impl $crate::file::Read for $name {
            fn read(
                node: &$crate::yaml::Node,
                reader: &mut $crate::file::Reader<'_>,
            ) -> Option<Self> {
                use $crate::file::Setting as _;
                let fields = reader.fields(node, $what, &[$($key),*])?;
                $(
                    let $field = fields.optional::<$kind>($key, reader);
                    $( let $field = $crate::file::within($field, &$bounds, Some($default), reader); )?
                    let $field = $field.map(|found| found.value);
                )*
                Some(Self {
                    $( $field: $field
                        .unwrap_or_else(|| $crate::file::declared::<$kind>($default))
                        .plain(), )*
                })
            }

            fn schema(defs: &mut $crate::schema::Defs) -> serde_json::Value {
                defs.record(stringify!($name), concat!($($about),*), |defs| {
                    vec![$( $crate::schema::Field {
                        key: $key,
                        about: concat!($($doc),*),
                        required: false,
                        default: Some($default),
                        schema: {
                            let schema = <$kind as $crate::file::Read>::schema(defs);
                            $( let schema = $crate::file::said::<$kind>(schema, &$bounds); )?
                            schema
                        },
                    } ),*]
                })
            }
        }

        impl $name {
            /// In the words of the files.
            pub(crate) fn effective(&self) -> serde_json::Value {
                serde_json::json!({
                    $( $key: <$kind as $crate::file::Setting<$ty>>::shown(&self.$field), )*
                })
            }
        }
    };
}

pub(crate) use settings;
