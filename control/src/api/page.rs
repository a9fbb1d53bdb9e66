//! `/`: what a browser shows. Files that were built from `control/page/` and are part of the binary.
//!
//! The page may load nothing from anywhere else and run nothing that is not in its files; what
//! it knows it asks the API for, with the visitor's token.

use super::Answered;
use super::extract::Name;
use super::problem::{Kind, Problem};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// No inline script or style, no frame around it, no form that goes anywhere, no text that becomes code.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

struct File {
    name: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
}

const PAGE: File = File {
    name: "index.html",
    media_type: "text/html; charset=utf-8",
    bytes: include_bytes!("../../page/dist/index.html"),
};

const FILES: [File; 3] = [
    File {
        name: "page.js",
        media_type: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../../page/dist/page.js"),
    },
    File {
        name: "page.css",
        media_type: "text/css; charset=utf-8",
        bytes: include_bytes!("../../page/dist/page.css"),
    },
    File {
        name: "icon.svg",
        media_type: "image/svg+xml",
        bytes: include_bytes!("../../page/dist/icon.svg"),
    },
];

/// The page
#[utoipa::path(
    get, path = "/", operation_id = "readPage", tag = "probes", security(()),
    responses((status = 200, body = String, content_type = "text/html"))
)]
pub(crate) async fn read(headers: HeaderMap) -> Response {
    served(&PAGE, &headers)
}

/// What the page loads
#[utoipa::path(
    get, path = "/page/{file}", operation_id = "readPageFile", tag = "probes", security(()),
    params(("file" = String, Path, pattern = "^(page\\.js|page\\.css|icon\\.svg)$")),
    responses((status = 200, content((String = "text/javascript"), (String = "text/css"), (String = "image/svg+xml"))))
)]
pub(crate) async fn file(headers: HeaderMap, name: Name) -> Answered {
    match FILES.iter().find(|file| file.name == name.0) {
        Some(file) => Ok(served(file, &headers)),
        None => Err(Problem::new(
            StatusCode::NOT_FOUND,
            Kind::NotFound,
            "the page has no such file; a page of another release is open, reload it",
        )),
    }
}

/// A browser asks each time whether it still has the present file, so that no page outlives its release.
fn served(file: &File, asked: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", &blake3::hash(file.bytes).to_hex()[..16]);
    let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|v| v.to_str().ok());
    let fresh = known.flat_map(|v| v.split(',')).any(|v| v.trim() == tag);
    let mut response = if fresh {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, file.media_type)], file.bytes).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}
