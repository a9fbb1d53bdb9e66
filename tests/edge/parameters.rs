//! Paths with parameters, which some backends cut off and so read as another path than Serin does.

use crate::edge::{Edge, web};
use serin_testkit::{ConfigText, RawOrigin, Script};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const ALL: &str = "{ name: all, matches: [{ path: { prefix: / } }], service: web }";

/// What each path is answered, and all that the backend has received.
fn asked(routes: &[&str], paths: &[&str]) -> (Vec<u16>, String) {
    let origin = RawOrigin::always(Script::answering(OK));
    let config = ConfigText::new().http_listener("http").service(web(origin.address()));
    let edge = Edge::start(&routes.iter().fold(config, |config, route| config.route(route)));
    let statuses = paths.iter().map(|path| edge.get(path).status).collect();
    (statuses, String::from_utf8(origin.received()).unwrap())
}

#[test]
fn a_path_with_parameters_gets_around_no_narrower_route() {
    let admin =
        "{ name: admin, matches: [{ path: { prefix: /admin } }], respond: { status: 403 } }";
    let exact = "{ name: exact, matches: [{ path: { exact: /login } }], respond: { status: 403 } }";
    let paths = [
        "/admin;x=1",
        "/admin;x=1/users",
        "/;/admin",
        "/;a=b/;/admin/users",
        "/admin%3bx=1",
        "/%3B/admin",
        "/a/..;/admin",
        "/a/..%3b/admin",
        "/login;",
        "/;x/login",
        "/%61dmin;x",
    ];
    let (statuses, received) = asked(&[ALL, admin, exact], &paths);
    assert_eq!(statuses, [400; 11]);
    assert_eq!(received, "", "not one byte upstream");
    // The backend's own parameters, where no route is narrower.
    let (statuses, received) = asked(&[ALL, admin], &["/shop;id=1", "/;x/adminx", "/a%3Bb?q;r"]);
    assert_eq!(statuses, [200; 3]);
    for target in ["GET /shop;id=1 ", "GET /;x/adminx ", "GET /a%3Bb?q;r "] {
        assert_eq!(received.matches(target).count(), 1, "{received}");
    }
}

#[test]
fn a_narrow_route_refuses_parameters_unless_it_forwards_them() {
    let shop = "{ name: shop, matches: [{ path: { prefix: /shop } }], service: web }";
    let (statuses, received) = asked(&[shop], &["/shop;x=1", "/shop/cart;x=1", "/shop/;/cart"]);
    assert_eq!((statuses, received.as_str()), (vec![400; 3], ""));
    let allowed = shop.replace("service: web", "service: web, pathParameters: forward");
    let (statuses, received) = asked(&[&allowed], &["/shop/cart;x=1"]);
    assert_eq!(statuses, [200]);
    assert_eq!(received.matches("GET /shop/cart;x=1 HTTP/1.1\r\n").count(), 1, "{received}");
}
