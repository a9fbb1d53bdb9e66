//! The admin API: what operators, pipelines and the page may see and ask for.
//!
//! Every request passes `admit` first (host, rate, token, role, origin, media type, size), so a
//! resource only ever sees a caller who may do what it does. Resources translate: JSON in, one
//! call to the [`Handle`], JSON out. They decide nothing and hold no state; what
//! was refused, and why, comes from control in its own words.
//!
//! Nothing here reads a secret except `auth`, which keeps hashes.

mod admit;
mod auth;
mod config;
mod dora;
mod etag;
mod events;
mod extract;
mod freeze;
mod guard;
mod idempotency;
mod limits;
mod openapi;
mod page;
mod probes;
mod problem;
mod reload;
mod rollout;
mod rollouts;
mod server;
mod services;
mod signals;
mod upgrade;
mod weights;

pub use config::{Fault, Hooks, Verdict};
pub use reload::{Canary, NoCanary};
pub use server::{BindError, Bound, Serve, bind, inherit};
pub use upgrade::Upgraded;

use crate::Handle;
use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post, put};
use problem::{Kind, Problem};
use serin_config::model::Admin;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::{Semaphore, watch};

/// The API's state; cheap to clone.
#[derive(Debug, Clone)]
pub struct Api {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    handle: Handle,
    hooks: Hooks,
    access: RwLock<Arc<Access>>,
    rates: limits::Rates,
    answers: idempotency::Store,
    /// Held over a check of If-Match and the change that follows it, where control has no
    /// revision to compare with.
    freezing: tokio::sync::Mutex<()>,
    streams: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
}

/// Who gets in. Replaced as a whole when the configuration changes.
#[derive(Debug)]
struct Access {
    tokens: auth::Tokens,
    hosts: guard::Hosts,
}

impl Access {
    fn new(admin: &Admin) -> Arc<Self> {
        Arc::new(Self { tokens: auth::Tokens::new(admin), hosts: guard::Hosts::new(&admin.hosts) })
    }
}

impl Api {
    pub fn new(handle: Handle, admin: &Admin, hooks: Hooks) -> Self {
        Self {
            inner: Arc::new(Inner {
                handle,
                hooks,
                access: RwLock::new(Access::new(admin)),
                rates: limits::Rates::default(),
                answers: idempotency::Store::default(),
                freezing: tokio::sync::Mutex::new(()),
                streams: Arc::new(Semaphore::new(limits::MAX_STREAMS)),
                stopping: watch::channel(false).0,
            }),
        }
    }

    /// Takes new tokens and hosts from a reloaded configuration. The address stays.
    pub fn reconfigure(&self, admin: &Admin) {
        let access = Access::new(admin);
        *self.inner.access.write().unwrap_or_else(PoisonError::into_inner) = access;
    }

    fn access(&self) -> Arc<Access> {
        Arc::clone(&self.inner.access.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends when the server stops.
    fn stopping(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopping = self.inner.stopping.subscribe();
        async move {
            // An error means that the server is gone, which is as good.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        }
    }

    fn handle(&self) -> &Handle {
        &self.inner.handle
    }

    fn router(&self) -> Router {
        let v1 = Router::new()
            .route("/services", get(services::list))
            .route("/services/{service}", get(services::read))
            .route("/services/{service}/why", get(services::why))
            .route("/services/{service}/shadow", get(services::shadow))
            .route("/services/{service}/history", get(services::history))
            .route("/services/{service}/rollout", get(rollout::read).post(rollout::start))
            .route("/services/{service}/rollout/promote", post(rollout::promote))
            .route("/services/{service}/rollout/pause", post(rollout::pause))
            .route("/services/{service}/rollout/resume", post(rollout::resume))
            .route("/services/{service}/rollout/abort", post(rollout::abort))
            .route("/services/{service}/rollout/retry", post(rollout::retry))
            .route("/services/{service}/weights", put(weights::replace))
            .route("/services/{service}/signals", post(signals::push))
            .route("/rollouts", get(rollouts::list))
            .route("/rollouts/{id}", get(rollouts::read))
            .route("/rollouts/{id}/report", get(rollouts::report))
            .route("/rollouts/{id}/evidence", get(rollouts::evidence))
            .route("/freeze", get(freeze::read).put(freeze::replace))
            .route("/config", get(config::read))
            .route("/config/reload", post(reload::reload).delete(reload::end))
            .route("/config/check", post(config::check))
            .route("/upgrade", post(upgrade::upgrade))
            .route("/dora", get(dora::read))
            .route("/events", get(events::stream));
        Router::new()
            .nest("/v1", v1)
            .route("/", get(page::read))
            .route("/page/{file}", get(page::file))
            .route("/livez", get(probes::livez))
            .route("/readyz", get(probes::readyz))
            .route("/metrics", get(probes::metrics))
            .route("/openapi.json", get(openapi::read))
            .fallback(nothing_here)
            .method_not_allowed_fallback(wrong_method)
            .layer(axum::middleware::from_fn_with_state(self.clone(), admit::admit))
            .with_state(self.clone())
    }
}

async fn nothing_here(uri: axum::http::Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    Problem::new(
        StatusCode::NOT_FOUND,
        Kind::NotFound,
        format!("there is nothing at {path}; /openapi.json lists everything there is"),
    )
}

async fn wrong_method(method: axum::http::Method, uri: axum::http::Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        Kind::MethodNotAllowed,
        format!("{path} does not take {method}; the Allow header says what it takes"),
    )
}

/// What a resource answers.
type Answered = Result<Response, Problem>;
