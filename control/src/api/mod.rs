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
mod logins;
mod openapi;
mod page;
mod places;
mod probes;
mod problem;
mod reach;
mod reload;
mod rollout;
mod rollouts;
mod seat;
mod server;
mod services;
mod signals;
mod stream;
mod tls;
mod upgrade;
mod weights;

pub use config::{AppliedConfig, Fault, Hooks, Loaded, Verdict};
pub use reach::Reach;
pub use reload::{Canary, NoCanary};
pub use server::{BindError, Bound, Serve, bind, bind_probes, inherit};
pub use upgrade::Upgraded;

use crate::Handle;
use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post, put};
use problem::{Kind, Problem};
use serin_config::model::Admin;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// The API's state; cheap to clone.
#[derive(Debug, Clone)]
pub struct Api {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    handle: Handle,
    hooks: Hooks,
    reach: Reach,
    /// Who gets in; replaced as a whole by a reload.
    access: watch::Sender<Arc<Access>>,
    rates: limits::Rates,
    logins: logins::Logins,
    answers: idempotency::Store,
    /// Held over a check of If-Match and the change that follows it, where control has no
    /// revision to compare with.
    freezing: tokio::sync::Mutex<()>,
    checks: config::Checks,
    stopping: watch::Sender<bool>,
}

/// Who gets in.
#[derive(Clone)]
struct Access {
    tokens: auth::Tokens,
    hosts: guard::Hosts,
    tls: Option<TlsAcceptor>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("tokens", &self.tokens).finish_non_exhaustive()
    }
}

impl Access {
    fn new(admin: &Admin, reach: Reach) -> Result<Arc<Self>, String> {
        let hosts = guard::Hosts::new(&admin.hosts);
        let tls = admin.tls.as_ref().map(tls::acceptor).transpose()?;
        Ok(Arc::new(Self { tokens: auth::Tokens::new(admin, reach), hosts, tls }))
    }
}

impl Api {
    /// `reach` is that of the socket on which it will be served.
    pub fn new(handle: Handle, admin: &Admin, reach: Reach, hooks: Hooks) -> Result<Self, String> {
        Ok(Self {
            inner: Arc::new(Inner {
                handle,
                hooks,
                reach,
                access: watch::channel(Access::new(admin, reach)?).0,
                rates: limits::Rates::default(),
                logins: logins::Logins::default(),
                answers: idempotency::Store::default(),
                freezing: tokio::sync::Mutex::new(()),
                checks: config::Checks::new(),
                stopping: watch::channel(false).0,
            }),
        })
    }

    /// Why a reloaded configuration would open this API to everybody; nothing of it may be taken up
    /// then.
    pub fn refuses(&self, admin: &Admin) -> Option<String> {
        self.inner.reach.refuses(admin)
    }

    /// Takes new tokens and hosts from a reloaded configuration. The socket stays.
    pub fn reconfigure(&self, admin: &Admin) {
        match Access::new(admin, self.inner.reach) {
            Ok(access) => {
                self.inner.access.send_replace(access);
            }
            // Tokens that were taken away may not stay for the sake of a certificate.
            Err(why) => {
                tracing::error!("{why}; the certificate from before is used on");
                let before = self.access().tls.clone();
                let plain = Admin { tls: None, ..admin.clone() };
                if let Ok(access) = Access::new(&plain, self.inner.reach) {
                    let access = Access { tls: before, ..Arc::unwrap_or_clone(access) };
                    self.inner.access.send_replace(Arc::new(access));
                }
            }
        }
    }

    fn access(&self) -> Arc<Access> {
        Arc::clone(&self.inner.access.borrow())
    }

    /// Ends when the server stops.
    fn stopping(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopping = self.inner.stopping.subscribe();
        async move {
            // An error means that the server is gone, which is as good.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        }
    }

    /// Ends when a reload has taken away what let somebody in: for answers that go on.
    fn allowed(&self, caller: auth::Caller) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut access = self.inner.access.subscribe();
        Box::pin(async move {
            // An error means that the server is gone, which is as good.
            let _ = access.wait_for(|access| !access.tokens.still_know(&caller)).await;
        })
    }

    fn handle(&self) -> &Handle {
        &self.inner.handle
    }

    /// For an address that probes and scrapers have to themselves.
    fn probes(&self) -> Router {
        self.guarded(
            Router::new()
                .route("/livez", get(probes::livez))
                .route("/readyz", get(probes::readyz))
                .route("/metrics", get(probes::metrics)),
        )
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
            .route("/services/{service}/rollout/approve", post(rollout::approve))
            .route("/services/{service}/rollout/checklist", post(rollout::tick))
            .route("/services/{service}/rollout/pause", post(rollout::pause))
            .route("/services/{service}/rollout/resume", post(rollout::resume))
            .route("/services/{service}/rollout/abort", post(rollout::abort))
            .route("/services/{service}/rollout/undo", post(rollout::undo))
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
        self.guarded(
            Router::new()
                .nest("/v1", v1)
                .route("/", get(page::read))
                .route("/page/{file}", get(page::file))
                .route("/livez", get(probes::livez))
                .route("/readyz", get(probes::readyz))
                .route("/metrics", get(probes::metrics))
                .route("/openapi.json", get(openapi::read)),
        )
    }

    fn guarded(&self, resources: Router<Self>) -> Router {
        resources
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
