//! The admin API beside the data plane: on control's runtime, so that no operator and no scraper
//! is ever on a request's way.

use super::RunError;
use super::parts::{Occasion, Parts};
use serin_config::model::Config;
use serin_control::api::{Api, Hooks, bind};
use std::sync::Arc;
use tokio::sync::oneshot;

pub(super) struct Admin {
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
}

impl Admin {
    pub(super) fn serve(parts: &Arc<Parts>, config: &Config) -> Result<Self, RunError> {
        let runtime = parts.control.runtime();
        let api = Api::new(parts.control.handle(), &config.admin, hooks(parts));
        let bound = runtime.block_on(bind(&config.admin))?;
        tracing::info!(listener = "admin", address = %bound.address(), "listening");
        let _ = parts.api.set(api.clone());
        let (stop, stopped) = oneshot::channel::<()>();
        let served = runtime.spawn(bound.serve(api, async {
            let _ = stopped.await;
        }));
        Ok(Self { stop, served })
    }

    pub(super) async fn stop(self) {
        // It may have ended by itself.
        let _ = self.stop.send(());
        let _ = self.served.await;
    }
}

fn hooks(parts: &Arc<Parts>) -> Hooks {
    // Weak, because the API is itself one of the parts.
    let weak = || Arc::downgrade(parts);
    let (reload, check, ready) = (weak(), weak(), weak());
    Hooks {
        reload: Arc::new(move || {
            reload.upgrade().map_or_else(|| Ok(Vec::new()), |p| p.reload(Occasion::Asked))
        }),
        check: Arc::new(move |text| match (text, check.upgrade()) {
            (Some(text), _) => serin_config::from_str("request", text).map(|l| l.warnings),
            (None, Some(parts)) => parts.load().map(|l| l.warnings),
            (None, None) => Ok(Vec::new()),
        }),
        not_ready: Arc::new(move || match ready.upgrade() {
            Some(parts) => parts.proxy.not_ready(),
            None => Some("it is shutting down".to_owned()),
        }),
    }
}
