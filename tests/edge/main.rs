//! The edge from outside: what reaches a backend, what a client gets, and what is counted.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod accesslog;
mod answers;
mod behind_tls;
mod binary;
mod bodies;
mod bombs;
mod deadlines;
mod descriptors;
mod differential;
mod early;
mod edge;
mod forgotten;
mod grpc;
mod heads;
mod http10;
mod http2;
mod http2_ends;
mod http2_upstream;
mod identity;
mod interim;
mod lanes;
mod malformed;
#[path = "../fuzz/mutate.rs"]
mod mutate;
mod parameters;
mod protocols;
mod proxy_protocol;
mod proxy_upstream;
mod recorder;
mod reload;
mod resets;
mod shadow;
mod shadow_compare;
mod shadow_hurt;
mod spans;
mod split;
mod tls;
mod tls_upstream;
mod trailers;
mod tunnels;
mod unfinished;
mod upstream;
mod websocket;
mod websocket_http2;
mod windows;
