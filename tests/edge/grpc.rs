//! gRPC with a real client and a real server, over TLS on one side and cleartext on the other.

use crate::edge::{Edge, SHORT};
use crate::http2_upstream::http2;
use crate::tls::{Authority, connect, edge_to, prepared};
use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use serin_testkit::{PATIENCE, ServiceText, eventually_async};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder, Streaming};
use tonic::server::{NamedService, StreamingService, UnaryService};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status};

/// Messages as they are: what they mean is no concern of a proxy.
#[derive(Clone)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Gives back what it is given, and fails when it is told to.
#[derive(Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "test.Echo";
}

impl UnaryService<Bytes> for Echo {
    type Response = Bytes;
    type Future = Answer<Result<Response<Bytes>, Status>>;
    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        Box::pin(async move {
            let message = request.into_inner();
            if message == "fail" {
                Err(Status::internal("told to"))
            } else {
                Ok(Response::new(message))
            }
        })
    }
}

impl StreamingService<Bytes> for Echo {
    type Response = Bytes;
    type ResponseStream = Streaming<Bytes>;
    type Future = Answer<Result<Response<Streaming<Bytes>>, Status>>;
    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        Box::pin(async move { Ok(Response::new(request.into_inner())) })
    }
}

impl tower::Service<http::Request<tonic::body::Body>> for Echo {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Answer<Result<Self::Response, Infallible>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(Raw);
            let stream = request.uri().path().ends_with("/Stream");
            Ok(if stream {
                grpc.streaming(Self, request).await
            } else {
                grpc.unary(Self, request).await
            })
        })
    }
}

async fn serve() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    tokio::spawn(Server::builder().add_service(Echo).serve_with_incoming(incoming));
    address
}

async fn channel(edge: &Arc<Edge>, authority: &Arc<Authority>) -> tonic::client::Grpc<Channel> {
    let (edge, authority) = (edge.clone(), authority.clone());
    let connector = tower::service_fn(move |_: http::Uri| {
        let (edge, authority) = (edge.clone(), authority.clone());
        async move { connect(&edge, authority.client(&["h2"]), "a.example").await.map(TokioIo::new) }
    });
    // The connector speaks TLS by itself; tonic would want to, seeing the scheme of an address.
    let endpoint = Endpoint::from_static("http://a.example");
    let endpoint = endpoint.origin(http::Uri::from_static("https://a.example"));
    let channel = endpoint.connect_with_connector(connector).await.unwrap();
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    client
}

fn path(path: &'static str) -> PathAndQuery {
    PathAndQuery::from_static(path)
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_streams_and_failures_pass_and_failures_are_bad() {
    let (authority, folder) = prepared();
    let endpoint = serve().await;
    let yaml = format!("{{ endpoints: [\"http://{endpoint}\"], protocol: http2 }}");
    let service = ServiceText::new("web").version_yaml("v1", &yaml);
    let (edge, authority) = (Arc::new(edge_to(folder, service, "")), Arc::new(authority));
    let mut client = channel(&edge, &authority).await;
    let call = Request::new(Bytes::from_static(b"hello"));
    let answer = client.unary(call, path("/test.Echo/Unary"), Raw).await.unwrap();
    assert_eq!(answer.into_inner(), "hello");

    client.ready().await.unwrap();
    let messages: Vec<Bytes> = (0..100u8).map(|n| Bytes::from(vec![n; 10_000])).collect();
    let call = Request::new(tokio_stream::iter(messages.clone()));
    let mut stream =
        client.streaming(call, path("/test.Echo/Stream"), Raw).await.unwrap().into_inner();
    for message in messages {
        assert_eq!(stream.message().await.unwrap(), Some(message));
    }
    assert_eq!(stream.message().await.unwrap(), None);

    client.ready().await.unwrap();
    let call = Request::new(Bytes::from_static(b"fail"));
    let failure = client.unary(call, path("/test.Echo/Unary"), Raw).await.unwrap_err();
    assert_eq!((failure.code(), failure.message()), (Code::Internal, "told to"));
    eventually_async("one is bad and two are good", async || {
        let tally = edge.counts("v1").judged;
        (tally.good, tally.bad) == (2, 1)
    })
    .await;
}

/// How a backend ends a call after its first message.
#[derive(Clone, Copy)]
enum Ends {
    Resets(h2::Reason),
    Dies,
    Waits,
}

/// Answers each call with one message, and ends it. Tells what its streams were reset with.
async fn breaking(ends: Ends) -> (SocketAddr, mpsc::UnboundedReceiver<h2::Reason>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(socket).await.unwrap();
                let (_call, mut stream) = connection.accept().await.unwrap().unwrap();
                let head = http::Response::builder().header("content-type", "application/grpc");
                let mut answer = stream.send_response(head.body(()).unwrap(), false).unwrap();
                answer.send_data(Bytes::from_static(b"\0\0\0\0\x02hi"), false).unwrap();
                let on = tokio::time::timeout(SHORT, poll_fn(|cx| connection.poll_accept(cx)));
                let _quiet = on.await;
                match ends {
                    Ends::Dies => return,
                    Ends::Resets(reason) => answer.send_reset(reason),
                    Ends::Waits => {
                        tokio::spawn(async move {
                            let reset = poll_fn(|cx| answer.poll_reset(cx)).await;
                            tell.send(reset.unwrap()).unwrap();
                        });
                    }
                }
                while connection.accept().await.is_some() {}
            });
        }
    });
    (address, told)
}

/// A call to such a backend, of which the first message has come.
async fn begun(ends: Ends) -> (Streaming<Bytes>, Arc<Edge>, mpsc::UnboundedReceiver<h2::Reason>) {
    let (authority, folder) = prepared();
    let (endpoint, told) = breaking(ends).await;
    let edge = Arc::new(edge_to(folder, http2(endpoint), ""));
    let mut client = channel(&edge, &Arc::new(authority)).await;
    let call = Request::new(Bytes::from_static(b"hello"));
    let answer = client.server_streaming(call, path("/test.Echo/Stream"), Raw).await.unwrap();
    let mut stream = answer.into_inner();
    assert_eq!(stream.message().await.unwrap(), Some(Bytes::from_static(b"hi")));
    (stream, edge, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_its_backend_breaks_off_ends_with_a_status_that_says_how() {
    let resets = |reason| Ends::Resets(reason);
    for (ends, code) in [
        (Ends::Dies, Code::Unavailable),
        (resets(h2::Reason::CANCEL), Code::Cancelled),
        (resets(h2::Reason::ENHANCE_YOUR_CALM), Code::ResourceExhausted),
        (resets(h2::Reason::INTERNAL_ERROR), Code::Internal),
    ] {
        let (mut stream, edge, _) = begun(ends).await;
        let failure = stream.message().await.unwrap_err();
        assert_eq!(failure.code(), code, "{failure:?}");
        eventually_async("it is bad", async || edge.counts("v1").judged.bad == 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_its_client_gives_up_is_cancelled_at_its_backend() {
    let (stream, _edge, mut told) = begun(Ends::Waits).await;
    drop(stream);
    let reset = tokio::time::timeout(PATIENCE, told.recv()).await.unwrap();
    assert_eq!(reset, Some(h2::Reason::CANCEL));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_is_gone_is_unavailable_and_not_a_broken_call() {
    let (authority, folder) = prepared();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let yaml = format!("{{ endpoints: [\"http://{nobody}\"], protocol: http2 }}");
    let service = ServiceText::new("web").version_yaml("v1", &yaml);
    let (edge, authority) = (Arc::new(edge_to(folder, service, "")), Arc::new(authority));
    let mut client = channel(&edge, &authority).await;
    let call = Request::new(Bytes::from_static(b"hello"));
    let failure = client.unary(call, path("/test.Echo/Unary"), Raw).await.unwrap_err();
    assert_eq!(failure.code(), Code::Unavailable, "{failure:?}");
}
