//! Where the candidate's latest failures came from, for people: by client network, route, method and
//! endpoint. Networks are shortened and shown to operators only; no metric has them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailuresView {
    /// The failures that were looked at: those of the last minute, and 16 at least.
    pub of: u64,
    /// Distinct users among them; `null` where users cannot be told apart.
    pub users: Option<u64>,
    /// Distinct client networks among them: /24 of IPv4, /48 of IPv6.
    pub networks: u64,
    /// Those from networks whose requests fail on stable as well.
    pub failing_on_stable: u64,
    /// Most of them are those of a few clients: nothing is rolled back for these.
    pub concentrated: bool,
    /// All of it as a sentence.
    pub summary: String,
    /// The most frequent of each kind.
    pub by_network: Vec<CountView>,
    pub by_route: Vec<CountView>,
    pub by_method: Vec<CountView>,
    pub by_endpoint: Vec<CountView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CountView {
    pub name: String,
    pub count: u64,
}
