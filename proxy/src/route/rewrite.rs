//! What a route makes of a path, and where a redirect points.

use serin_config::model;
use std::borrow::Cow;
use std::fmt::Write;

/// A path rewrite of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewrite {
    /// In place of the matched prefix; without its trailing slash.
    Prefix(String),
    /// In place of the whole path.
    Path(String),
}

impl Rewrite {
    pub fn new(rewrite: &model::Rewrite) -> Self {
        match rewrite {
            model::Rewrite::Prefix(with) => Self::Prefix(with.trim_end_matches('/').to_owned()),
            model::Rewrite::Path(with) => Self::Path(with.clone()),
        }
    }

    /// `matched` is how many bytes of `path` the route's prefix took: [`super::Found::prefix`].
    pub fn apply<'a>(&'a self, path: &'a str, matched: usize) -> Cow<'a, str> {
        match self {
            Self::Path(with) => Cow::Borrowed(with),
            Self::Prefix(with) => {
                let rest = path.get(matched..).unwrap_or("").trim_start_matches('/');
                let slash = path.get(matched..).is_some_and(|rest| rest.starts_with('/'));
                match (with.is_empty(), rest.is_empty() && !slash) {
                    (true, true) => Cow::Borrowed("/"),
                    (false, true) => Cow::Borrowed(with),
                    (_, false) => Cow::Owned(format!("{with}/{rest}")),
                }
            }
        }
    }
}

/// A redirect with everything but the request filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    pub status: u16,
    pub scheme: Option<String>,
    pub hostname: Option<String>,
    pub port: Option<u16>,
    pub path: Option<Rewrite>,
}

/// The request that is redirected, as it reached the listener.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    pub scheme: &'a str,
    /// With its port when the client named one.
    pub host: &'a str,
    pub path: &'a str,
    pub query: Option<&'a str>,
}

impl Redirect {
    /// The `Location`. A port that the scheme implies is left out; one that the client named is
    /// kept only while scheme and host stay.
    pub fn location(&self, target: Target<'_>, matched: usize) -> String {
        let (name, named_port) = super::hosts::split_port(target.host);
        let scheme = self.scheme.as_deref().unwrap_or(target.scheme);
        let host = self.hostname.as_deref().unwrap_or(name);
        let kept = self.scheme.as_deref().is_none_or(|s| s == target.scheme);
        let port = self.port.or(named_port.filter(|_| kept));
        let mut location = format!("{scheme}://{host}");
        if let Some(port) = port.filter(|port| !implied(scheme, *port)) {
            // Writing to a string cannot fail.
            let _ = write!(location, ":{port}");
        }
        location.push_str(&match &self.path {
            Some(rewrite) => rewrite.apply(target.path, matched),
            None => Cow::Borrowed(target.path),
        });
        if let Some(query) = target.query {
            location.push('?');
            location.push_str(query);
        }
        location
    }
}

fn implied(scheme: &str, port: u16) -> bool {
    matches!((scheme, port), ("http", 80) | ("https", 443))
}
