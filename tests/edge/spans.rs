//! Spans as a collector gets them: a real OTLP receiver, behind the real proxy.

use crate::edge::{Edge, ROUTE, web};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serin_testkit::{ConfigText, Fault, Origin, RawOrigin, Script, eventually, temp_dir};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let scopes = request.into_inner().resource_spans.into_iter().flat_map(|r| r.scope_spans);
        self.0.lock().unwrap().extend(scopes.flat_map(|scope| scope.spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

struct Collector {
    receiver: Receiver,
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl Collector {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let receiver = Receiver::default();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let service = TraceServiceServer::new(receiver.clone());
        runtime.spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
        Self { receiver, address, _runtime: runtime }
    }

    /// The spans of a trace, as soon as there are so many.
    fn spans(&self, trace: &str, count: usize) -> Vec<Span> {
        eventually(&format!("{count} spans"), || {
            let all = self.receiver.0.lock().unwrap().clone();
            let of: Vec<_> = all.into_iter().filter(|span| hex(&span.trace_id) == trace).collect();
            (of.len() >= count).then_some(of)
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attribute(span: &Span, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == name)?;
    let value = found.value.clone()?.value?;
    if let Value::IntValue(number) = value {
        return Some(number.to_string());
    }
    if let Value::BoolValue(truth) = value {
        return Some(truth.to_string());
    }
    let Value::StringValue(text) = value else { panic!("{name}: {value:?}") };
    Some(text)
}

fn traced(service: serin_testkit::ServiceText, collector: SocketAddr, sample: &str) -> ConfigText {
    ConfigText::new()
        .http_listener("http")
        .service(service)
        .route(ROUTE)
        .with("accessLog: { format: off }")
        .with(&format!("tracing: {{ otlp: \"http://{collector}\", sample: {sample} }}"))
}

fn ask(edge: &Edge, path: &str, flags: &str) -> u16 {
    let mut client = edge.client();
    client.send(format!(
        "GET {path} HTTP/1.1\r\nHost: shop.example:8080\r\ntraceparent: 00-{TRACE}-00f067aa0ba902b7-{flags}\r\n\r\n"
    ));
    client.response().status
}

#[test]
fn a_request_is_a_span_and_its_attempt_is_one_in_it() {
    let (origin, collector) = (Origin::start("v1"), Collector::start());
    let edge = Edge::start(&traced(web(origin.address()), collector.address, "100%"));
    assert_eq!(ask(&edge, "/bytes/10?q=1", "00"), 200);
    let spans = collector.spans(TRACE, 2);
    let of = |kind| spans.iter().find(|span| span.kind == kind as i32).unwrap();
    let (request, attempt) = (of(SpanKind::Server), of(SpanKind::Client));
    assert_eq!(hex(&request.parent_span_id), "00f067aa0ba902b7");
    assert_eq!(attempt.parent_span_id, request.span_id);
    let origin_port = origin.address().port().to_string();
    for (span, name, value) in [
        (request, "http.request.method", "GET"),
        (request, "url.path", "/bytes/10"),
        (request, "url.query", "q=1"),
        (request, "url.scheme", "http"),
        (request, "server.address", "shop.example"),
        (request, "server.port", "8080"),
        (request, "client.address", "127.0.0.1"),
        (request, "http.response.status_code", "200"),
        (request, "http.response.body.size", "10"),
        (request, "network.protocol.version", "1.1"),
        (request, "serin.service", "web"),
        (request, "serin.version", "v1"),
        (request, "serin.outcome", "good"),
        (attempt, "serin.version", "v1"),
        (attempt, "server.port", origin_port.as_str()),
        (attempt, "http.response.status_code", "200"),
    ] {
        assert_eq!(attribute(span, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(request.name, "GET all");
    assert!(request.start_time_unix_nano <= attempt.start_time_unix_nano);
    assert!(attempt.end_time_unix_nano <= request.end_time_unix_nano);
    // What the backend does belongs into the attempt.
    let told = origin.seen()[0].header("traceparent").unwrap().to_owned();
    assert_eq!(told, format!("00-{TRACE}-{}-01", hex(&attempt.span_id)));
    eventually("it is counted", || {
        edge.metric("serin_traced_requests_total", ("result", "exported")) == 1.0
    });
}

#[test]
fn each_attempt_has_a_span_and_says_why_it_failed() {
    let collector = Collector::start();
    let broken = RawOrigin::start(|connection| match connection {
        0 => Script::new().read_request().write("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"),
        _ => {
            Script::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        }
    });
    let service =
        web(broken.address()).with("retries: { attempts: 1, on: [\"503\"], budget: 100% }");
    let edge = Edge::start(&traced(service, collector.address, "100%"));
    assert_eq!(ask(&edge, "/", "01"), 200);
    let spans = collector.spans(TRACE, 3);
    let mut attempts: Vec<_> =
        spans.iter().filter(|span| span.kind == SpanKind::Client as i32).collect();
    attempts.sort_by_key(|span| span.start_time_unix_nano);
    let told: Vec<_> = attempts
        .iter()
        .map(|span| {
            let (status, resent) = ("http.response.status_code", "http.request.resend_count");
            (
                attribute(span, status).unwrap(),
                attribute(span, resent),
                span.status.clone().unwrap().code,
            )
        })
        .collect();
    assert_eq!(told, [("503".to_owned(), None, 2), ("200".to_owned(), Some("1".to_owned()), 0)]);
}

/// A stranger's flag has no say; the context passes as it came.
#[test]
fn what_is_not_sampled_passes_its_context_and_is_not_exported() {
    let (origin, collector) = (Origin::start("v1"), Collector::start());
    let edge = Edge::start(&traced(web(origin.address()), collector.address, "0%"));
    assert_eq!(ask(&edge, "/", "01"), 200);
    let told = origin.seen()[0].header("traceparent").unwrap().to_owned();
    assert_eq!(told, format!("00-{TRACE}-00f067aa0ba902b7-01"));
    edge.proxy.shutdown(Duration::from_secs(5));
    assert!(collector.receiver.0.lock().unwrap().is_empty());
}

/// In a trace of its own, which begins with it, and linked to the attempt whose copy it is.
#[test]
fn a_copy_is_a_span_that_links_to_its_attempt() {
    let (stable, shadow, collector) =
        (Origin::start("v1"), Origin::start("v2"), Collector::start());
    let service = web(stable.address())
        .version("v2", &[shadow.address()])
        .with("shadow: { to: v2 }")
        .with("retries: { attempts: 0 }");
    let edge = Edge::start(&traced(service, collector.address, "100%"));
    assert_eq!(ask(&edge, "/bytes/3?key=hidden", "00"), 200);
    let spans = collector.spans(TRACE, 2);
    let attempt = spans.iter().find(|span| span.kind == SpanKind::Client as i32).unwrap();
    eventually("the copy", || shadow.requests() == 1);
    let told = shadow.seen()[0].header("traceparent").unwrap().to_owned();
    let trace = told.split('-').nth(1).unwrap();
    let copy = collector.spans(trace, 1).remove(0);
    assert_eq!(told, format!("00-{trace}-{}-01", hex(&copy.span_id)), "the shadow's parent");
    assert!(copy.parent_span_id.is_empty(), "{copy:?}");
    let linked: Vec<_> =
        copy.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect();
    assert_eq!(linked, [(TRACE.to_owned(), hex(&attempt.span_id))]);
    for (name, value) in [
        ("http.request.method", "GET"),
        ("url.path", "/bytes/3"),
        ("serin.service", "web"),
        ("serin.version", "v2"),
        ("http.response.status_code", "200"),
    ] {
        assert_eq!(attribute(&copy, name).as_deref(), Some(value), "{name}");
    }
    shadow.break_all(Fault::Drop);
    assert_eq!(ask(&edge, "/", "00"), 200);
    eventually("one that failed says how", || {
        let all = collector.receiver.0.lock().unwrap().clone();
        all.iter().any(|span| {
            !span.links.is_empty() && attribute(span, "error.type").as_deref() == Some("reset")
        })
    });
}

#[test]
fn a_process_that_leaves_sends_what_it_has() {
    let (origin, collector) = (Origin::start("v1"), Collector::start());
    let edge = Edge::start(&traced(web(origin.address()), collector.address, "100%"));
    let began = Instant::now();
    assert_eq!(ask(&edge, "/", "01"), 200);
    edge.proxy.shutdown(Duration::from_secs(5));
    println!("sent {:?} after the request began", began.elapsed());
    assert_eq!(collector.receiver.0.lock().unwrap().len(), 2);
}

#[test]
fn a_collector_that_never_answers_is_in_nobodys_way() {
    let hung = RawOrigin::always(Script::never_answering());
    let origin = Origin::start("v1");
    let edge = Edge::start(&traced(web(origin.address()), hung.address(), "100%"));
    let mut client = edge.client();
    let mut asked = 0;
    while edge.metric("serin_traced_requests_total", ("result", "queueFull")) == 0.0 {
        for _ in 0..500 {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(client.response().status, 200);
        }
        asked += 500;
        assert!(asked < 100_000, "nothing was dropped");
    }
}

#[test]
fn a_collector_that_is_named_by_a_reload_gets_what_comes_after_it() {
    let (origin, first, second) = (Origin::start("v1"), Collector::start(), Collector::start());
    let folder = temp_dir();
    let untraced =
        ConfigText::new().http_listener("http").service(web(origin.address())).route(ROUTE);
    let edge = Edge::start_in(folder, &untraced);
    assert_eq!(ask(&edge, "/", "01"), 200);
    edge.apply(&traced(web(origin.address()), first.address, "100%"));
    assert_eq!(ask(&edge, "/", "01"), 200);
    assert_eq!(first.spans(TRACE, 2).len(), 2);
    edge.apply(&traced(web(origin.address()), second.address, "100%"));
    origin.break_all(Fault::Drop);
    assert_eq!(ask(&edge, "/", "01"), 502);
    let spans = second.spans(TRACE, 2);
    let failed = |span: &&Span| attribute(span, "error.type").as_deref() == Some("reset");
    assert!(spans.iter().filter(failed).count() >= 2, "{spans:#?}");
    assert_eq!(first.receiver.0.lock().unwrap().len(), 2);
}
