//! One exchange over HTTP/2, on the one connection that all copies to an endpoint share.

use super::Outgoing;
use super::pool::{self, Wire, room};
use crate::shadow::counts::Dropped;
use crate::shadow::pair::{Answer, Body};
use crate::upstream::{Endpoint, VersionRuntime};
use crate::wire::head::{self, HeadLimits, Verdict};
use crate::wire::view::View;
use bytes::Bytes;
use h2::RecvStream;
use h2::client::SendRequest;
use http::{Request, Uri};
use std::sync::Arc;
use std::time::Instant;

pub(super) async fn exchange(
    outgoing: &Outgoing<'_>,
    to: &VersionRuntime,
    endpoint: &Arc<Endpoint>,
) -> Result<Answer, Dropped> {
    let request = request(outgoing, endpoint.configured.tls).ok_or(Dropped::Reset)?;
    let client = match pool::http2(endpoint) {
        Some(client) => client,
        None => connect(to, endpoint).await?,
    };
    let failed = |error: h2::Error| {
        if error.is_io() || error.is_go_away() {
            pool::share(endpoint, None);
        }
        Dropped::Reset
    };
    let client = client.ready().await.map_err(failed)?;
    if !outgoing.is_allowed() {
        return Err(Dropped::Withdrawn);
    }
    answered(outgoing, request, client).await.map_err(failed)
}

async fn connect(
    to: &VersionRuntime,
    endpoint: &Arc<Endpoint>,
) -> Result<SendRequest<Bytes>, Dropped> {
    let wire = Wire::open(to, endpoint).await.ok_or(Dropped::Refused)?;
    let shaken = h2::client::handshake(wire.io).await;
    let (client, connection) = shaken.map_err(|_| Dropped::Refused)?;
    tokio::spawn(async move {
        // Whoever waits for an answer is told.
        let _ = connection.await;
    });
    pool::share(endpoint, Some(client.clone()));
    Ok(client)
}

/// The head is Serin's own, so that no limit is needed.
const ANY: HeadLimits =
    HeadLimits { max_bytes: usize::MAX, max_fields: usize::MAX, max_target: usize::MAX };

fn request(outgoing: &Outgoing<'_>, tls: bool) -> Option<Request<()>> {
    let (bytes, mut fields) = (outgoing.head, Vec::new());
    let Verdict::Whole(head) = head::parse(bytes, &ANY, &mut fields) else { return None };
    let view = View::of(bytes, &fields);
    let scheme = if tls { "https" } else { "http" };
    let uri = Uri::builder().scheme(scheme).authority(head.host.of(bytes));
    let uri = uri.path_and_query(head.target.of(bytes)).build().ok()?;
    let mut request = Request::builder().method(head.method.of(bytes)).uri(uri);
    for (name, value) in view.lines().filter(|(name, _)| !name.eq_ignore_ascii_case(b"host")) {
        request = request.header(name, value);
    }
    if view.named("content-type").any(|kind| kind.starts_with(b"application/grpc")) {
        request = request.header("te", "trailers");
    } else if outgoing.framed {
        request = request.header("content-length", outgoing.length());
    }
    request.body(()).ok()
}

async fn answered(
    outgoing: &Outgoing<'_>,
    request: Request<()>,
    mut client: SendRequest<Bytes>,
) -> Result<Answer, h2::Error> {
    let empty = outgoing.body.is_empty();
    let (answer, mut sender) = client.send_request(request, empty)?;
    if !empty {
        sender.send_data(Bytes::from(outgoing.body.concat()), true)?;
    }
    let written = Instant::now();
    let (head, stream) = answer.await?.into_parts();
    let took = written.elapsed();
    let (headers, encoding) = match outgoing.rules {
        Some(rules) => (rules.headers_of(&head.headers), rules.encoding_of(&head.headers)),
        None => (Vec::new(), None),
    };
    let status = head.status.as_u16();
    let answer =
        Answer { status, headers, encoding, body: Body::Unread, took: Some(took), held: None };
    read(outgoing, stream, answer).await
}

/// A body that is too long is reset with the stream.
async fn read(
    outgoing: &Outgoing<'_>,
    mut stream: RecvStream,
    mut answer: Answer,
) -> Result<Answer, h2::Error> {
    if outgoing.rules.is_some_and(|rules| rules.wants_body()) {
        answer.held = room(outgoing.memory);
        answer.body = Body::begin(answer.held.as_ref());
    }
    let mut length = 0;
    while let Some(piece) = stream.data().await {
        let piece = piece?;
        stream.flow_control().release_capacity(piece.len())?;
        length += piece.len() as u64;
        answer.body.add(&piece, || piece.clone(), outgoing.most, &mut answer.held);
        if length > outgoing.most {
            return Ok(answer);
        }
    }
    Ok(answer)
}
