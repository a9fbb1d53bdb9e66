//! The thread that turns finished requests into spans and sends them, in batches.
//!
//! It has a runtime of its own, so that a collector that hangs holds up nothing else. A batch that
//! cannot be sent is not tried again: what comes after it says the same about the traffic.

use super::{Entry, Sampled, Told, copied, shape};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// Requests of one batch.
const MOST: usize = 256;
/// How long the first one waits for company.
const COMPANY: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Exporter {
    entries: mpsc::Receiver<Entry>,
    told: Arc<Told>,
    /// With the address that it was made for.
    channel: Option<(String, SpanExporter)>,
    failing: bool,
}

impl Exporter {
    pub(super) fn new(entries: mpsc::Receiver<Entry>, told: Arc<Told>) -> Self {
        Self { entries, told, channel: None, failing: false }
    }
}

/// Ends when nobody can hand over anything any more.
pub(super) fn start(exporter: Exporter) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new()
        .name("serin-spans".into())
        .spawn(move || runtime.block_on(run(exporter)))?;
    Ok(())
}

async fn run(mut exporter: Exporter) {
    while let Some(first) = exporter.entries.recv().await {
        let (requests, flushed) = gather(first, &mut exporter.entries).await;
        if !requests.is_empty() {
            exporter.export(requests).await;
        }
        if let Some(done) = flushed {
            // Whoever waited may have lost patience.
            let _ = done.send(());
        }
    }
}

async fn gather(
    first: Entry,
    entries: &mut mpsc::Receiver<Entry>,
) -> (Vec<Sampled>, Option<SyncSender<()>>) {
    let mut requests = Vec::new();
    let until = Instant::now() + COMPANY;
    let mut next = Some(first);
    loop {
        match next {
            Some(Entry::Sampled(sampled)) => requests.push(sampled),
            Some(Entry::Flush(done)) => return (requests, Some(done)),
            None => return (requests, None),
        }
        if requests.len() >= MOST {
            return (requests, None);
        }
        next = timeout_at(until, entries.recv()).await.unwrap_or(None);
    }
}

fn shaped(sampled: Sampled) -> Vec<SpanData> {
    match sampled {
        Sampled::Request(finished) => shape::spans(*finished),
        Sampled::Copy(copied) => vec![copied::shaped(*copied)],
    }
}

impl Exporter {
    async fn export(&mut self, requests: Vec<Sampled>) {
        let count = requests.len() as u64;
        let spans = requests.into_iter().flat_map(shaped).collect();
        let sent = match self.channel() {
            Ok(channel) => channel.export(spans).await.map_err(|fault| fault.to_string()),
            Err(fault) => Err(fault),
        };
        let counter = if sent.is_ok() { &self.told.exported } else { &self.told.not_sent };
        counter.fetch_add(count, Relaxed);
        self.tell(sent.err());
    }

    /// The address may have changed with a reload.
    fn channel(&mut self) -> Result<&SpanExporter, String> {
        let to = self.told.to.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let to = to.ok_or("no collector is configured")?;
        if self.channel.as_ref().is_none_or(|(made_for, _)| *made_for != to) {
            let built =
                SpanExporter::builder().with_tonic().with_endpoint(&to).with_timeout(TIMEOUT);
            let mut exporter = built.build().map_err(|fault| fault.to_string())?;
            exporter.set_resource(&Resource::builder().with_service_name("serin").build());
            self.channel = Some((to, exporter));
        }
        self.channel.as_ref().map(|(_, exporter)| exporter).ok_or_else(String::new)
    }

    /// Once when it begins, once when it is over.
    fn tell(&mut self, fault: Option<String>) {
        match (&fault, self.failing) {
            (Some(fault), false) => tracing::warn!(fault, "tracing: spans cannot be exported"),
            (None, true) => tracing::info!("tracing: spans are exported again"),
            (Some(_), true) | (None, false) => {}
        }
        self.failing = fault.is_some();
    }
}
