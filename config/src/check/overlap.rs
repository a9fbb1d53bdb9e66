//! Matches that can never apply, because another one takes all of their requests.
//!
//! A match is dead when some other match takes part in every request it could have, and comes
//! first: by path, then method, header count, query count, cookie count, client networks, and
//! position, as the proxy's table orders them. Hosts are compared by name, since the most specific
//! host is looked up first. Groups of one host and path are small, so comparing within them keeps
//! ten thousand routes cheap.

use super::Check;
use crate::file;
use crate::model::{Match, PathMatch, Route, ValueMatch};
use crate::report::shown;
use crate::source::{At, Place};
use std::collections::HashMap;

/// In a group larger than this only the first matches are compared with.
const COMPARED: usize = 64;

struct Candidate<'a> {
    route: &'a Route,
    name_at: Place,
    found: &'a Match,
    at: Place,
    position: usize,
}

pub(super) fn check(checked: &[(usize, Route)], files: &[At<file::Route>], check: &mut Check<'_>) {
    let candidates = candidates(checked, files);
    let mut groups: HashMap<(&str, String), Vec<&Candidate<'_>>> = HashMap::new();
    for candidate in &candidates {
        for host in hosts(candidate.route) {
            groups.entry((host, key(&candidate.found.path))).or_default().push(candidate);
        }
    }
    for candidate in &candidates {
        // A match lives as long as it applies under one of its hosts.
        let mut first = None;
        let dead = hosts(candidate.route).into_iter().all(|host| {
            let other = shadowing(candidate, host, &groups);
            first = first.or(other);
            other.is_some()
        });
        if let Some(other) = first.filter(|_| dead) {
            report(candidate, other, check);
        }
    }
}

fn candidates<'a>(checked: &'a [(usize, Route)], files: &[At<file::Route>]) -> Vec<Candidate<'a>> {
    let mut candidates = Vec::new();
    for (index, route) in checked {
        let file = &files[*index];
        let name_at = file.name.as_ref().map_or(file.at, |name| name.at);
        let listed = file.matches.as_ref().map(|m| m.value.as_slice()).unwrap_or_default();
        // What could not be read may have been what tells it from others.
        if file.broken || listed.iter().any(|m| m.broken) {
            continue;
        }
        for (n, found) in route.matches.iter().enumerate() {
            let at = listed.get(n).map_or(name_at, |m| m.at);
            let position = candidates.len();
            candidates.push(Candidate { route, name_at, found, at, position });
        }
    }
    candidates
}

fn hosts(route: &Route) -> Vec<&str> {
    if route.hostnames.is_empty() {
        return vec![""];
    }
    route.hostnames.iter().map(String::as_str).collect()
}

fn key(path: &PathMatch) -> String {
    match path {
        PathMatch::Exact(path) => format!("={path}"),
        PathMatch::Prefix(path) => format!("^{path}"),
        PathMatch::Regex(regex) => format!("~{}", regex.as_str()),
    }
}

/// The first match that takes everything from this one under a host.
fn shadowing<'a>(
    candidate: &Candidate<'_>,
    host: &'a str,
    groups: &'a HashMap<(&str, String), Vec<&'a Candidate<'a>>>,
) -> Option<&'a Candidate<'a>> {
    let within = |key: String, equal_path: bool| {
        let group = groups.get(&(host, key))?;
        group.iter().take(COMPARED).copied().find(|other| {
            other.position != candidate.position
                && takes_all(other, candidate)
                && (!equal_path || comes_first(other, candidate))
        })
    };
    if let Some(found) = within(key(&candidate.found.path), true) {
        return Some(found);
    }
    // Every prefix comes before every expression.
    let PathMatch::Regex(regex) = &candidate.found.path else { return None };
    prefixes(regex.as_str()).into_iter().find_map(|prefix| within(format!("^{prefix}"), false))
}

/// Prefixes that every path of an expression lies under, as far as its first letters say.
fn prefixes(anchored: &str) -> Vec<String> {
    let pattern = anchored.trim_start_matches("^(?:");
    let special = pattern.find(|c: char| "\\.+*?()|[]{}^$".contains(c)).unwrap_or(pattern.len());
    // `/a|/b` is two expressions, and `/ab*` may stop before the `b`.
    let whole = !pattern.contains('|');
    let literal = if whole { &pattern[..special] } else { "" };
    let mut prefixes = vec!["/".to_owned()];
    let slashes = literal.char_indices().filter(|(at, c)| *at > 0 && *c == '/');
    prefixes.extend(slashes.map(|(at, _)| literal[..at].to_owned()));
    if pattern.as_bytes().get(special).is_some_and(|next| b"*?{".contains(next))
        && literal.ends_with('/')
    {
        prefixes.pop();
    }
    prefixes
}

fn takes_all(other: &Candidate<'_>, than: &Candidate<'_>) -> bool {
    let (a, b) = (other.found, than.found);
    let listeners = &other.route.listeners;
    let at_listeners = listeners.is_empty()
        || (!than.route.listeners.is_empty()
            && than.route.listeners.iter().all(|l| listeners.contains(l)));
    let methods = a.methods.is_empty()
        || (!b.methods.is_empty() && b.methods.iter().all(|method| a.methods.contains(method)));
    let clients = a.client_ip.is_empty()
        || (!b.client_ip.is_empty()
            && b.client_ip.iter().all(|net| a.client_ip.iter().any(|wide| wide.contains(net))));
    at_listeners
        && methods
        && clients
        && asks_no_more(&a.headers, &b.headers)
        && asks_no_more(&a.query, &b.query)
        && asks_no_more(&a.cookies, &b.cookies)
}

/// Whether everything that `b` asks for satisfies `a`.
fn asks_no_more(a: &[(String, ValueMatch)], b: &[(String, ValueMatch)]) -> bool {
    a.iter().all(|(name, value)| {
        b.iter().any(|(other, found)| {
            other == name && (found == value || *value == ValueMatch::Present)
        })
    })
}

/// Among equal paths: method, header count, query count, cookie count, client networks, position.
fn comes_first(other: &Candidate<'_>, than: &Candidate<'_>) -> bool {
    let rank = |c: &Candidate<'_>| {
        let found = c.found;
        (
            !found.methods.is_empty(),
            found.headers.len(),
            found.query.len(),
            found.cookies.len(),
            !found.client_ip.is_empty(),
            std::cmp::Reverse(c.position),
        )
    };
    rank(other) > rank(than)
}

fn report(dead: &Candidate<'_>, other: &Candidate<'_>, check: &mut Check<'_>) {
    let same = dead.found == other.found
        && dead.route.hostnames == other.route.hostnames
        && dead.route.listeners == other.route.listeners;
    let whole = dead.route.matches.len() == 1;
    let what = if whole { "this route" } else { "this match" };
    let message = if same {
        format!("{what} never applies: {} matches the same", shown(other.route.name.as_str()))
    } else {
        format!(
            "{what} never applies: {} takes all of its requests",
            shown(other.route.name.as_str())
        )
    };
    let at = if whole { dead.name_at } else { dead.at };
    let regex = matches!(dead.found.path, PathMatch::Regex(_));
    let hint = match &other.found.path {
        PathMatch::Prefix(_) if regex => {
            "a prefix comes before an expression; write this path as `exact` or `prefix`, or give that one a condition"
        }
        PathMatch::Prefix(_) | PathMatch::Exact(_) | PathMatch::Regex(_) if same => {
            "remove one of them"
        }
        PathMatch::Prefix(_) | PathMatch::Exact(_) | PathMatch::Regex(_) => {
            "move it before that one, or give it a condition that the other lacks"
        }
    };
    check.warning(at, message).also(other.name_at, "this one comes first").hint(hint);
}
