//! One exchange over HTTP/2, on the one connection that all copies to an endpoint share.

use super::Outgoing;
use super::pool::{self, Wire, room};
use crate::shadow::counts::Dropped;
use crate::shadow::response_pair::{Answer, Body};
use crate::upstream::{Endpoint, VersionRuntime};
use crate::wire;
use bytes::Bytes;
use h2::RecvStream;
use h2::client::SendRequest;
use http::{HeaderValue, Request, header};
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

fn request(outgoing: &Outgoing<'_>, tls: bool) -> Option<Request<()>> {
    let mut request = wire::http2::request(outgoing.head, tls)?;
    let fields = request.headers_mut();
    let kind = fields.get(header::CONTENT_TYPE);
    if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
        fields.insert(header::TE, HeaderValue::from_static("trailers"));
    } else if outgoing.framed {
        fields.insert(header::CONTENT_LENGTH, outgoing.length().into());
    }
    Some(request)
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
