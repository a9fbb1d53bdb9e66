//! An address that the configuration lists. It stays.

use super::Found;
use serin_config::model::{Endpoint, EndpointHost};

pub(super) fn set(endpoint: &Endpoint) -> Option<Vec<Found>> {
    match &endpoint.host {
        EndpointHost::Ip(ip) => Some(vec![Found::new(endpoint.clone(), *ip)]),
        EndpointHost::Name(_) => None,
    }
}
