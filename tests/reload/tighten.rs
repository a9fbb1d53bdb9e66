//! A listener that becomes stricter by a reload: connections that its older rules let in do not
//! outlive them, and any other change leaves them alone.

use crate::bench::Instance;
use crate::certificates::Authority;
use serin_testkit::{ConfigText, Connection, RawClient, eventually, eventually_async, temp_dir};
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

fn http(more: &str) -> ConfigText {
    let listener = format!("{{ name: http, address: \"127.0.0.1:0\", protocol: HTTP{more} }}");
    answering(&[listener.as_str()])
}

fn answering(listeners: &[&str]) -> ConfigText {
    let route =
        "{ name: all, matches: [{ path: { prefix: / } }], respond: { status: 200, body: yes } }";
    let config = ConfigText::new().route(route).with("accessLog: { format: off }");
    listeners.iter().fold(config, |config, yaml| config.listener(yaml))
}

/// A connection that has been answered once and waits.
fn kept(instance: &Instance) -> RawClient {
    let mut client = RawClient::connect(instance.http);
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(client.response().status, 200);
    client
}

fn reload(instance: &Instance, config: &ConfigText) {
    let before = instance.generation();
    instance.write(config);
    eventually("the change is in force", || instance.generation() > before);
}

#[test]
fn an_idle_connection_ends_when_fewer_peers_are_trusted() {
    let instance = Instance::start(&http(", trusted: [127.0.0.0/8]"));
    let mut client = kept(&instance);
    reload(&instance, &http(", trusted: [127.0.0.0/8, 10.0.0.0/8]"));
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(client.response().status, 200, "more trust closes nothing");
    let mut newer = kept(&instance);
    reload(&instance, &http(", trusted: [10.0.0.0/8]"));
    eventually("the older connection ends", || client.has_ended());
    eventually("and the newer one", || newer.has_ended());
    assert!(!kept(&instance).has_ended());
}

fn https(folder: &Path, client_auth: &str) -> ConfigText {
    let (pem, key) = (folder.join("a.pem"), folder.join("a.key"));
    let certificate = format!("{{ certFile: {}, keyFile: {} }}", pem.display(), key.display());
    let tls = format!("{{ certificates: [{certificate}]{client_auth} }}");
    let listener =
        format!("{{ name: https, address: \"127.0.0.1:0\", protocol: HTTPS, tls: {tls} }}");
    answering(&["{ name: http, address: \"127.0.0.1:0\", protocol: HTTP }", &listener])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http2_connection_is_told_to_go_when_clients_need_a_certificate() {
    let (authority, folder) = (Authority::new(), temp_dir());
    authority.write(folder.path());
    let path = https(folder.path(), "").write_to(folder.path());
    let mut instance = Instance::over(folder, &path);
    let address = instance.serin.address("https");
    let connect = async || {
        let stream = TcpStream::connect(address).await.unwrap();
        let name = "a.example".try_into().unwrap();
        let stream = TlsConnector::from(Arc::clone(&authority.client())).connect(name, stream);
        let mut connection = Connection::http2_over(stream.await.unwrap(), "a.example").await;
        assert_eq!(connection.get("/").await.status, 200);
        connection
    };
    let connection = connect().await;
    let folder = instance.folder.path().to_owned();
    tokio::task::block_in_place(|| {
        authority.write(&folder);
        eventually("the new certificate is in force", || instance.generation() == 2);
    });
    assert!(!connection.is_closed(), "another certificate closes nothing");
    let strict = format!(", clientAuth: {{ caFile: {} }}", folder.join("a.pem").display());
    tokio::task::block_in_place(|| reload(&instance, &https(&folder, &strict)));
    eventually_async("it is told to go", async || connection.is_closed()).await;
}
