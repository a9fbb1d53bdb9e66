//! An answer of Serin's own, on its way through pingora.

use crate::request::context::RequestContext;
use crate::request::reply::{FAREWELL, MOST_FORGOTTEN, Reply};
use pingora_core::Result;
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::custom::server::Session as CustomSession;
use pingora_proxy::Session;

pub(crate) async fn send(
    reply: Reply,
    session: &mut Session,
    context: &mut RequestContext,
) -> Result<()> {
    if reply.closes() {
        session.set_keepalive(None);
    }
    let head = session.req_header().method == http::Method::HEAD;
    let bodiless = reply.note(context, head);
    let response = reply.response(context)?;
    if let ServerSession::Custom(http2) = session.as_mut() {
        // One frame, where the head is all: what says how a gRPC call ended is read nowhere else.
        http2.write_response_header(Box::new(response), bodiless).await?;
        if !bodiless {
            http2.write_body(reply.body().clone(), true).await?;
        }
        let _ = tokio::time::timeout(FAREWELL, forget_body(&mut **http2)).await;
        return Ok(());
    }
    session.write_response_header(Box::new(response), bodiless).await?;
    if bodiless {
        session.finish_body().await
    } else {
        session.write_response_body(Some(reply.body().clone()), true).await
    }
}

/// A stream that is given up while its request still comes is reset, and with the reset some clients
/// lose the answer.
async fn forget_body(http2: &mut dyn CustomSession) {
    let mut left = MOST_FORGOTTEN;
    while left > 0 && !http2.is_body_done() {
        match http2.read_body_bytes().await {
            Ok(Some(data)) => left = left.saturating_sub(data.len()),
            Ok(None) | Err(_) => return,
        }
    }
    if left == 0 {
        // Nothing more is taken, and the client has its time to notice.
        std::future::pending().await
    }
}
