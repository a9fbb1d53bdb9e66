//! The data plane: accepts, routes, splits, forwards, measures.
