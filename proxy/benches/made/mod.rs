//! Tables of routes for the benches.

use serin_config::model::{
    HeaderEdits, Match, PathMatch, PathParameters, Route, RouteAction, RouteLimits,
};
use serin_core::ids::RouteName;
use serin_proxy::route::{self, ClientRates, RouteTable};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) fn table(count: usize, of: fn(usize) -> Route) -> RouteTable {
    let routes: Vec<_> = (0..count).map(of).collect();
    let clients = Arc::new(ClientRates::new(1));
    let compiled = routes.iter().map(|route| {
        match route::Route::new(route, &BTreeMap::new(), &clients, None) {
            Ok(route) => Arc::new(route),
            Err(error) => unreachable!("a fixed answer always compiles: {error}"),
        }
    });
    match RouteTable::new(&routes, compiled.collect()) {
        Ok(table) => table,
        Err(error) => unreachable!("its paths are plain: {error}"),
    }
}

pub(crate) fn by_prefix(n: usize) -> Route {
    answering(n, Vec::new(), format!("/team-{}/shop-{n}/checkout", n % 100))
}

pub(crate) fn answering(n: usize, hostnames: Vec<String>, prefix: String) -> Route {
    let name = match RouteName::new(&format!("r{n}")) {
        Ok(name) => name,
        Err(error) => unreachable!("{error}"),
    };
    Route {
        name,
        listeners: Vec::new(),
        hostnames,
        matches: vec![Match {
            path: PathMatch::Prefix(prefix),
            methods: Vec::new(),
            headers: Vec::new(),
            query: Vec::new(),
            cookies: Vec::new(),
            client_ip: Vec::new(),
        }],
        action: RouteAction::Respond {
            status: 200,
            content_type: "text/plain".to_owned(),
            body: String::new(),
        },
        request: HeaderEdits::default(),
        response: HeaderEdits::default(),
        rewrite: None,
        limits: RouteLimits::default(),
        path_parameters: PathParameters::Refuse,
        expose_version: false,
    }
}

pub(crate) fn path_of(route: &Route) -> &str {
    match &route.matches[0].path {
        PathMatch::Prefix(path) | PathMatch::Exact(path) => path,
        PathMatch::Regex(_) => "",
    }
}
