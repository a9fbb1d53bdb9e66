//! The table that finds a request's route.
//!
//! Precedence is Gateway API's and does not depend on the order of the files: the exact host
//! before the longest wildcard before every host; then the exact path, the longest prefix, the
//! regular expressions; then [`Precedence`]. A more specific place whose other conditions fail
//! falls through to the next one.
//!
//! Hosts and exact paths are one hash lookup, prefixes a walk down a trie of segments, so ten
//! thousand routes cost what one does. Only rules that share host and path, and regular
//! expressions, are tried one after the other. A lookup allocates nothing (a host with capitals
//! excepted).

use super::compiled::{Route, RouteError};
use super::matching::Conditions;
use super::precedence::Precedence;
use super::{RequestView, hosts, path};
use serin_config::model::{self, PathMatch};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

/// Only names from the configuration are ever stored, so nobody outside can make them collide.
type Map<V> = HashMap<Box<str>, V, BuildHasherDefault<Fnv>>;

#[derive(Debug, Default)]
pub struct RouteTable {
    routes: Vec<Arc<Route>>,
    exact: Map<HostTable>,
    /// By what follows `*.`.
    wildcard: Map<HostTable>,
    any: HostTable,
}

/// The route of a request.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    pub route: &'a Arc<Route>,
    /// How many bytes of the path the match took: the prefix, or all of it.
    pub prefix: usize,
}

impl Found<'_> {
    /// Whether a backend that reads another path than Serin does gets around nothing by it.
    fn takes_parameters(&self) -> bool {
        self.prefix == 0 || self.route.forwards_parameters
    }
}

impl RouteTable {
    /// `compiled` are the ready routes of `routes`, in the same order.
    pub fn new(routes: &[model::Route], compiled: Vec<Arc<Route>>) -> Result<Self, RouteError> {
        let mut table = Self { routes: compiled, ..Self::default() };
        for (index, route) in (0u32..).zip(routes) {
            for (number, rule) in (0u32..).zip(&route.matches) {
                let compiled = Arc::new(Rule {
                    route: index as usize,
                    precedence: Precedence::of(rule, (index, number)),
                    conditions: Conditions::of(route, rule),
                });
                for hostname in &route.hostnames {
                    table.table_of(hostname).insert(&rule.path, &compiled)?;
                }
                if route.hostnames.is_empty() {
                    table.any.insert(&rule.path, &compiled)?;
                }
            }
        }
        let tables = table.exact.values_mut().chain(table.wildcard.values_mut());
        tables.chain([&mut table.any]).for_each(HostTable::finish);
        Ok(table)
    }

    pub fn find(&self, request: &RequestView<'_>) -> Option<Found<'_>> {
        let host = hosts::canonical(request.host);
        let (route, prefix) = self
            .exact
            .get(&*host)
            .and_then(|table| table.find(request))
            .or_else(|| self.by_wildcard(&host, request))
            .or_else(|| self.any.find(request))?;
        Some(Found { route: &self.routes[route], prefix })
    }

    /// Whether the path of a request carries parameters and may not: it belongs to a route that
    /// matches less than every path, whether they are cut off or not, and that route does not allow
    /// them.
    pub fn refuses_parameters(&self, request: &RequestView<'_>, found: Option<Found<'_>>) -> bool {
        let Some(bare) = path::without_parameters(request.path) else { return false };
        let bare = self.find(&RequestView { path: &bare, ..*request });
        [found, bare].into_iter().flatten().any(|found| !found.takes_parameters())
    }

    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    fn by_wildcard(&self, host: &str, request: &RequestView<'_>) -> Option<(usize, usize)> {
        if self.wildcard.is_empty() {
            return None;
        }
        let mut tables = hosts::parents(host).filter_map(|parent| self.wildcard.get(parent));
        tables.find_map(|table| table.find(request))
    }

    fn table_of(&mut self, hostname: &str) -> &mut HostTable {
        let hostname = hostname.to_ascii_lowercase();
        match hostname.strip_prefix("*.") {
            Some(suffix) => self.wildcard.entry(suffix.into()).or_default(),
            None if hostname.is_empty() || hostname == "*" => &mut self.any,
            None => self.exact.entry(hosts::canonical(&hostname).into()).or_default(),
        }
    }
}

#[derive(Debug)]
struct Rule {
    route: usize,
    precedence: Precedence,
    conditions: Conditions,
}

/// The rules of one host, by path.
#[derive(Debug)]
struct HostTable {
    exact: Map<Vec<Arc<Rule>>>,
    /// The root first; a node comes after its parent.
    prefixes: Vec<Node>,
    regexes: Vec<(regex::Regex, Arc<Rule>)>,
}

/// One segment of the trie of prefixes.
#[derive(Debug, Default)]
struct Node {
    children: Map<usize>,
    rules: Vec<Arc<Rule>>,
    /// Bytes of a path that end here; 0 for the root.
    length: usize,
    parent: Option<usize>,
    /// The nearest node above that has rules.
    fallback: Option<usize>,
}

impl Default for HostTable {
    fn default() -> Self {
        Self { exact: Map::default(), prefixes: vec![Node::default()], regexes: Vec::new() }
    }
}

impl HostTable {
    fn find(&self, request: &RequestView<'_>) -> Option<(usize, usize)> {
        let whole = request.path.len();
        let exact = || {
            let rules = (!self.exact.is_empty()).then(|| self.exact.get(request.path))??;
            Some((first(rules, request)?, whole))
        };
        exact().or_else(|| self.by_prefix(request)).or_else(|| {
            let mut matching = self.regexes.iter().filter(|(_, r)| r.conditions.accept(request));
            matching.find(|(regex, _)| regex.is_match(request.path)).map(|(_, r)| (r.route, whole))
        })
    }

    fn by_prefix(&self, request: &RequestView<'_>) -> Option<(usize, usize)> {
        let mut at = 0;
        for segment in request.path.get(1..).unwrap_or("").split('/') {
            match self.prefixes[at].children.get(segment) {
                Some(child) => at = *child,
                None => break,
            }
        }
        let mut next = Some(at);
        while let Some(node) = next.map(|node| &self.prefixes[node]) {
            if let Some(route) = first(&node.rules, request) {
                return Some((route, node.length));
            }
            next = node.fallback;
        }
        None
    }

    fn insert(&mut self, path: &PathMatch, rule: &Arc<Rule>) -> Result<(), RouteError> {
        match path {
            PathMatch::Exact(path) => {
                self.exact.entry(normal(path)?.into()).or_default().push(Arc::clone(rule));
            }
            PathMatch::Prefix(path) => {
                let node = self.node_of(normal(path)?.trim_matches('/'));
                self.prefixes[node].rules.push(Arc::clone(rule));
            }
            PathMatch::Regex(regex) => self.regexes.push((regex.clone(), Arc::clone(rule))),
        }
        Ok(())
    }

    fn node_of(&mut self, path: &str) -> usize {
        let mut at = 0;
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            at = match self.prefixes[at].children.get(segment) {
                Some(child) => *child,
                None => {
                    let child = self.prefixes.len();
                    let length = self.prefixes[at].length + 1 + segment.len();
                    self.prefixes.push(Node { length, parent: Some(at), ..Node::default() });
                    self.prefixes[at].children.insert(segment.into(), child);
                    child
                }
            };
        }
        at
    }

    /// Sorts what shares a place, and links each node to the one that is tried after it.
    fn finish(&mut self) {
        self.exact.values_mut().for_each(|rules| rules.sort_by_key(|rule| rule.precedence));
        self.regexes.sort_by_key(|(_, rule)| rule.precedence);
        for at in 0..self.prefixes.len() {
            self.prefixes[at].rules.sort_by_key(|rule| rule.precedence);
            self.prefixes[at].fallback = self.prefixes[at].parent.and_then(|parent| {
                let above = &self.prefixes[parent];
                if above.rules.is_empty() { above.fallback } else { Some(parent) }
            });
        }
    }
}

fn first(rules: &[Arc<Rule>], request: &RequestView<'_>) -> Option<usize> {
    rules.iter().find(|rule| rule.conditions.accept(request)).map(|rule| rule.route)
}

/// Requests are matched in normal form, so the table is too.
fn normal(path: &str) -> Result<String, RouteError> {
    path::normalise(path)
        .map(String::from)
        .map_err(|why| RouteError::Path { path: path.to_owned(), why })
}

#[derive(Debug)]
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
