//! An answer of Serin's own, on its way through pingora.

use crate::lane::life::Life;
use crate::lane::reply::Reply;
use pingora_core::Result;
use pingora_proxy::Session;

pub(super) async fn send(reply: Reply, session: &mut Session, life: &mut Life) -> Result<()> {
    if reply.closes() {
        session.set_keepalive(None);
    }
    let head = session.req_header().method == http::Method::HEAD;
    let bodiless = reply.note(life, head);
    let response = reply.response(life)?;
    session.write_response_header(Box::new(response), bodiless).await?;
    if bodiless {
        session.finish_body().await
    } else {
        session.write_response_body(Some(reply.body().clone()), true).await
    }
}
