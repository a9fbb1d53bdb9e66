use super::support::*;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use proptest::prelude::*;
use proptest::sample::select;
use serin_config::model::{Match, PathMatch, Route, ValueMatch};
use serin_proxy::route::{RequestView, Rewrite, RouteTable};
use std::net::IpAddr;

#[derive(Debug, Clone)]
struct Request {
    host: String,
    path: String,
    query: Option<String>,
    method: &'static str,
    headers: HeaderMap,
    client_ip: IpAddr,
}

impl Request {
    fn get(host: &str, path: &str) -> Self {
        Self {
            host: host.to_owned(),
            path: path.to_owned(),
            query: None,
            method: "GET",
            headers: HeaderMap::new(),
            client_ip: CLIENT,
        }
    }

    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        self
    }

    fn query(mut self, query: &str) -> Self {
        self.query = Some(query.to_owned());
        self
    }

    fn view(&self) -> RequestView<'_> {
        RequestView {
            listener: "http",
            host: &self.host,
            path: &self.path,
            query: self.query.as_deref(),
            method: self.method,
            headers: &self.headers,
            client_ip: self.client_ip,
        }
    }
}

fn found(routes: &[Route], request: &Request) -> Option<String> {
    let generation = generation(config(Vec::new(), routes.to_vec()));
    name_of(&generation.routes, request)
}

fn name_of(table: &RouteTable, request: &Request) -> Option<String> {
    table.find(&request.view()).map(|found| found.route.name.to_string())
}

fn exact(path: &str) -> Match {
    matching(PathMatch::Exact(path.to_owned()))
}

fn regex(path: &str) -> Match {
    matching(PathMatch::Regex(regex::Regex::new(&format!("^(?:{path})$")).unwrap()))
}

/// Each pair in both orders of the file: the first named one must win.
fn wins(winner: &Route, loser: &Route, request: &Request) {
    for routes in [vec![winner.clone(), loser.clone()], vec![loser.clone(), winner.clone()]] {
        assert_eq!(found(&routes, request).as_deref(), Some(winner.name.as_str()));
    }
}

#[test]
fn the_more_specific_route_wins_in_any_order_of_the_file() {
    let any = |name, matches| route(name, &[], matches);
    let get = Request::get("a.example.com", "/shop/cart");
    wins(
        &any("exact", vec![exact("/shop/cart")]),
        &any("prefix", vec![prefix("/shop/cart")]),
        &get,
    );
    wins(&any("longer", vec![prefix("/shop/cart")]), &any("shorter", vec![prefix("/shop")]), &get);
    wins(&any("prefix", vec![prefix("/shop")]), &any("regex", vec![regex("/shop/.*")]), &get);
    wins(
        &route("host", &["a.example.com"], vec![prefix("/")]),
        &any("path", vec![exact("/shop/cart")]),
        &get,
    );
    wins(
        &route("exact", &["a.example.com"], vec![prefix("/")]),
        &route("wild", &["*.example.com"], vec![exact("/shop/cart")]),
        &get,
    );
    wins(
        &route("longer", &["*.example.com"], vec![prefix("/")]),
        &route("shorter", &["*.com"], vec![exact("/shop/cart")]),
        &get,
    );
}

#[test]
fn on_one_path_method_outranks_headers_and_headers_outrank_the_query() {
    let with = |name, change: &dyn Fn(&mut Match)| {
        let mut rule = prefix("/shop");
        change(&mut rule);
        route(name, &[], vec![rule])
    };
    let header = |n: &str| (n.to_owned(), ValueMatch::Present);
    let request = Request::get("x", "/shop").with("a", "1").with("b", "2").query("p=1&q=2");
    let method = with("method", &|m| m.methods = vec!["GET".to_owned()]);
    let two = with("two", &|m| m.headers = vec![header("a"), header("b")]);
    let one = with("one", &|m| m.headers = vec![header("a")]);
    let query = with("query", &|m| m.query = vec![header("p"), header("q")]);
    let plain = with("plain", &|_| {});
    wins(&method, &two, &request);
    wins(&two, &one, &request);
    wins(&one, &query, &request);
    wins(&query, &plain, &request);
    // Only where nothing else differs does the position decide.
    let twins = [with("first", &|_| {}), with("second", &|_| {})];
    assert_eq!(found(&twins, &request).as_deref(), Some("first"));
}

#[test]
fn a_prefix_matches_whole_segments() {
    let routes = [route("shop", &[], vec![prefix("/shop/")])];
    for (path, hit) in
        [("/shop", true), ("/shop/", true), ("/shop/a/b", true), ("/shops", false), ("/", false)]
    {
        assert_eq!(found(&routes, &Request::get("x", path)).is_some(), hit, "{path}");
    }
}

#[test]
fn a_wildcard_stands_for_one_label_or_more_and_not_for_none() {
    let routes = [route("wild", &["*.example.com"], vec![prefix("/")])];
    for (host, hit) in [
        ("a.example.com", true),
        ("a.b.example.com", true),
        ("A.Example.COM:8443", true),
        ("a.example.com.", true),
        ("example.com", false),
        ("badexample.com", false),
    ] {
        assert_eq!(found(&routes, &Request::get(host, "/")).is_some(), hit, "{host}");
    }
}

#[test]
fn a_specific_place_whose_conditions_fail_falls_through() {
    let mut post = exact("/shop");
    post.methods = vec!["POST".to_owned()];
    let mut flagged = prefix("/shop");
    flagged.headers = vec![("x-canary".to_owned(), ValueMatch::Exact("always".to_owned()))];
    let routes = [
        route("post", &["a.b"], vec![post]),
        route("flagged", &["a.b"], vec![flagged]),
        route("shop", &["a.b"], vec![prefix("/")]),
        route("rest", &[], vec![prefix("/")]),
    ];
    let get = Request::get("a.b", "/shop");
    assert_eq!(found(&routes, &get).as_deref(), Some("shop"));
    let canary = get.clone().with("x-canary", "no").with("x-canary", "always");
    assert_eq!(found(&routes, &canary).as_deref(), Some("flagged"));
    assert_eq!(found(&routes[..2], &get), None, "and at last there is no route");
}

#[test]
fn a_route_of_one_listener_is_not_found_by_another() {
    let mut inner = route("inner", &["a.b"], vec![exact("/")]);
    inner.listeners = vec!["admin".to_owned(), "internal".to_owned()];
    let outer = route("outer", &[], vec![prefix("/")]);
    let get = Request::get("a.b", "/");
    assert_eq!(found(&[inner.clone(), outer.clone()], &get).as_deref(), Some("outer"));
    inner.listeners.push("http".to_owned());
    assert_eq!(found(&[inner, outer], &get).as_deref(), Some("inner"));
}

#[test]
fn query_cookies_and_networks_are_read_as_an_application_reads_them() {
    let mut rule = prefix("/");
    rule.query = vec![("q".to_owned(), ValueMatch::Exact("a b&c".to_owned()))];
    let query = [route("query", &[], vec![rule])];
    let asks = |q: &str| found(&query, &Request::get("x", "/").query(q)).is_some();
    assert!(asks("q=a+b%26c") && asks("z=1&%71=a%20b%26c") && asks("q=no&q=a+b%26c"));
    assert!(!asks("q=a b") && !asks("q") && !asks("") && !asks("qq=a+b%26c"));

    let mut rule = prefix("/");
    rule.cookies = vec![("beta".to_owned(), ValueMatch::Exact("1".to_owned()))];
    let cookie = [route("cookie", &[], vec![rule])];
    let sends = |line| found(&cookie, &Request::get("x", "/").with("cookie", line)).is_some();
    assert!(sends("beta=1") && sends("a=b; beta=1; c=d") && sends("beta=\"1\""));
    assert!(!sends("alphabeta=1") && !sends("beta=12") && !sends("beta"));
    let split_lines = Request::get("x", "/").with("cookie", "a=b").with("cookie", "beta=1");
    assert!(found(&cookie, &split_lines).is_some(), "HTTP/2 may send a line per cookie");

    let mut rule = prefix("/");
    rule.client_ip = vec!["10.0.0.0/8".parse().unwrap()];
    let network = [route("network", &[], vec![rule])];
    let comes_from = |ip: &str| {
        let request = Request { client_ip: ip.parse().unwrap(), ..Request::get("x", "/") };
        found(&network, &request).is_some()
    };
    assert!(comes_from("10.1.2.3") && comes_from("::ffff:10.1.2.3"));
    assert!(!comes_from("11.0.0.1") && !comes_from("::1"));
}

#[test]
fn a_rewrite_replaces_whole_segments_and_keeps_the_rest() {
    let rewrite = |with: &str, path: &str, matched| {
        let rule = serin_config::model::Rewrite::Prefix(with.to_owned());
        Rewrite::new(&rule).apply(path, matched).into_owned()
    };
    assert_eq!(rewrite("/api/checkout", "/checkout/1", 9), "/api/checkout/1");
    assert_eq!(rewrite("/api", "/checkout", 9), "/api");
    assert_eq!(rewrite("/api/", "/checkout/", 9), "/api/");
    assert_eq!(rewrite("/", "/checkout/1", 9), "/1");
    assert_eq!(rewrite("/", "/checkout", 9), "/");
    assert_eq!(rewrite("/api", "/x", 0), "/api/x");
    assert_eq!(rewrite("/api", "/", 0), "/api/");
}

// --- against an oracle that knows nothing of hashes and tries -------------------------------

/// The best of all matching rules, by sorting them.
fn oracle(routes: &[Route], request: &Request) -> Option<String> {
    let mut best = None;
    for (position, route) in routes.iter().enumerate() {
        for (number, rule) in route.matches.iter().enumerate() {
            let everywhere = [String::new()];
            let hosts = if route.hostnames.is_empty() { &everywhere[..] } else { &route.hostnames };
            for host in hosts {
                let Some(host) = host_rank(host, &request.host) else { continue };
                let Some(path) = path_rank(&rule.path, &request.path) else { continue };
                if !rest_holds(rule, request) {
                    continue;
                }
                let rank = (
                    host,
                    path,
                    !rule.methods.is_empty(),
                    rule.headers.len(),
                    rule.query.len(),
                    usize::MAX - position,
                    usize::MAX - number,
                );
                if best.as_ref().is_none_or(|(other, _)| rank > *other) {
                    best = Some((rank, route.name.to_string()));
                }
            }
        }
    }
    best.map(|(_, name)| name)
}

fn host_rank(pattern: &str, host: &str) -> Option<(u8, usize)> {
    match pattern.strip_prefix('*') {
        _ if pattern.is_empty() => Some((0, 0)),
        Some(suffix) => {
            let fits = host.ends_with(suffix) && host.len() > suffix.len();
            fits.then_some((1, suffix.len()))
        }
        None => (pattern == host).then_some((2, 0)),
    }
}

fn path_rank(pattern: &PathMatch, path: &str) -> Option<(u8, usize)> {
    match pattern {
        PathMatch::Exact(exact) => (exact == path).then_some((2, 0)),
        PathMatch::Prefix(prefix) => {
            let prefix = prefix.trim_end_matches('/');
            let rest = path.strip_prefix(prefix)?;
            (rest.is_empty() || rest.starts_with('/')).then_some((1, prefix.len()))
        }
        PathMatch::Regex(regex) => regex.is_match(path).then_some((0, 0)),
    }
}

fn rest_holds(rule: &Match, request: &Request) -> bool {
    let query = request.query.clone().unwrap_or_default();
    (rule.methods.is_empty() || rule.methods.iter().any(|m| m == request.method))
        && rule.headers.iter().all(|(name, _)| request.headers.contains_key(name.as_str()))
        && rule
            .query
            .iter()
            .all(|(name, _)| query.split('&').any(|pair| pair == format!("{name}=1")))
}

fn hosts() -> impl Strategy<Value = &'static str> {
    select(vec!["a.com", "b.com", "x.a.com", "y.x.a.com", "com"])
}

fn paths() -> impl Strategy<Value = &'static str> {
    select(vec!["/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/b", "/a/b/c/d"])
}

fn rules() -> impl Strategy<Value = Match> {
    let path = prop_oneof![
        paths().prop_map(exact),
        paths().prop_map(prefix),
        select(vec!["/a.*", "/.*/b", "/b|/ab"]).prop_map(regex),
    ];
    let names = |names: &'static [&str]| {
        proptest::sample::subsequence(names.to_vec(), 0..=names.len()).prop_map(|picked| {
            picked.into_iter().map(|n| (n.to_owned(), ValueMatch::Present)).collect::<Vec<_>>()
        })
    };
    let methods = select(vec![vec![], vec!["GET".to_owned()], vec!["POST".to_owned()]]);
    (path, methods, names(&["h1", "h2"]), names(&["q1", "q2"]))
        .prop_map(|(path, methods, headers, query)| Match { methods, headers, query, ..path })
}

fn tables() -> impl Strategy<Value = Vec<Route>> {
    let hostnames = proptest::collection::vec(
        select(vec!["a.com", "b.com", "*.a.com", "*.com", "*.x.a.com"]),
        0..3,
    );
    let one = (hostnames, proptest::collection::vec(rules(), 1..3));
    proptest::collection::vec(one, 1..9).prop_map(|all| {
        let named = |(n, (hosts, matches)): (usize, (Vec<&str>, Vec<Match>))| {
            route(&format!("r{n}"), &hosts, matches)
        };
        all.into_iter().enumerate().map(named).collect()
    })
}

fn requests() -> impl Strategy<Value = Request> {
    let headers = proptest::sample::subsequence(vec!["h1", "h2"], 0..=2);
    let query = select(vec![None, Some("q1=1"), Some("q1=1&q2=1"), Some("x=2")]);
    (hosts(), paths(), select(vec!["GET", "POST", "PUT"]), headers, query).prop_map(
        |(host, path, method, headers, query)| {
            let request = Request { method, ..Request::get(host, path) };
            let request = headers.into_iter().fold(request, |r, name| r.with(name, "v"));
            Request { query: query.map(str::to_owned), ..request }
        },
    )
}

proptest! {
    #[test]
    fn the_table_finds_what_sorting_all_rules_finds(
        routes in tables(),
        asked in proptest::collection::vec(requests(), 8),
    ) {
        let generation = generation(config(Vec::new(), routes.clone()));
        for request in &asked {
            prop_assert_eq!(name_of(&generation.routes, request), oracle(&routes, request));
        }
    }
}
