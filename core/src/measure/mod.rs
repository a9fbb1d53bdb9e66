//! What the data plane counts, and how the tick reads it.

mod counts;
mod histogram;
mod sources;

pub use counts::{
    Part, Population, Running, ServiceCounts, ServiceLatencies, Tally, VersionCounts,
    VersionLatencies,
};
pub use histogram::{BUCKETS, Cells, Histogram, Tails, bucket_of, upper_edge};
pub use sources::{
    FAILURES_KEPT, FailedOnStable, FailedRequest, Network, SERVED_AT_FIRST, SERVED_EACH, Sources,
    TIMED_EACH, Timed, method_word,
};
