//! `/openapi.json`: the document of this API, made from the handlers themselves.
//!
//! It is made per instance, because whether a token is needed is a fact of its configuration.

use super::{
    Api, config, dora, events, freeze, page, probes, problem, reload, rollout, rollouts, services,
    signals, upgrade, weights,
};
use axum::Json;
use axum::extract::State;
use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Serin",
        description = "The admin API of Serin.\n\nErrors are problem documents (RFC 9457). Everything that changes has an ETag, and changes honour If-Match: 412 when it has moved on. POST honours Idempotency-Key: a repetition within 24 h gets the same answer, and 422 with another body. Weights are basis points: 10000 is everything.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(
        services::list,
        services::read,
        services::why,
        services::shadow,
        services::history,
        rollout::read,
        rollout::start,
        rollout::promote,
        rollout::approve,
        rollout::tick,
        rollout::pause,
        rollout::resume,
        rollout::abort,
        rollout::undo,
        rollout::retry,
        weights::replace,
        signals::push,
        rollouts::list,
        rollouts::read,
        rollouts::report,
        rollouts::evidence,
        freeze::read,
        freeze::replace,
        config::read,
        reload::reload,
        reload::end,
        config::check,
        upgrade::upgrade,
        dora::read,
        events::stream,
        page::read,
        page::file,
        probes::livez,
        probes::readyz,
        probes::metrics,
        read,
    ),
    components(schemas(problem::Document, crate::Event))
)]
struct Document;

/// This document
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "readDocument", tag = "probes", security(()),
    responses((status = 200, body = Object))
)]
pub(crate) async fn read(State(api): State<Api>) -> Json<utoipa::openapi::OpenApi> {
    Json(document(api.access().tokens.needed()))
}

fn document(tokens_needed: bool) -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    for item in document.paths.paths.values_mut() {
        operations(item).for_each(|operation| {
            operation.responses.responses.values_mut().for_each(describe);
            if let Some(RefOr::T(body)) = &mut operation.request_body
                && is_optional(operation.operation_id.as_deref())
            {
                body.required = None;
            }
            let error = RefOr::T(error());
            operation.responses.responses.insert("default".to_owned(), error);
            if !tokens_needed {
                operation.security = None;
            }
        });
    }
    if tokens_needed {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("token", scheme);
        document.security = Some(vec![SecurityRequirement::new("token", Vec::<String>::new())]);
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete].into_iter().flatten()
}

/// Commands and checks go without a body too.
fn is_optional(operation: Option<&str>) -> bool {
    operation
        .is_some_and(|id| id.ends_with("Rollout") || ["checkConfig", "reloadConfig"].contains(&id))
}

/// A response has a description, by the specification.
fn describe(response: &mut RefOr<utoipa::openapi::Response>) {
    if let RefOr::T(response) = response
        && response.description.is_empty()
    {
        response.description = "Done, and shown".to_owned();
    }
}

/// Every other answer.
fn error() -> utoipa::openapi::Response {
    let schema = Ref::from_schema_name("Problem");
    ResponseBuilder::new()
        .description("What is wrong, and what to do about it")
        .content(problem::MEDIA_TYPE, ContentBuilder::new().schema(Some(schema)).build())
        .build()
}
