//! The thread where copies are sent and answers are compared, and the way there.
//!
//! It takes no part in serving: it runs at a lower priority, and nobody waits for it. While there
//! is traffic it looks into its queue by itself, once a millisecond, so that handing a copy over is
//! a push and not a wake-up; only the first copy after a silence wakes it.

use super::copy::Copy;
use super::counts::Dropped;
use super::memory::{Memory, Spare};
use super::response_pair::{Answer, Answered, ResponsePair};
use super::sampled::Sample;
use super::send::{Outgoing, send};
use super::settle::settle;
use crate::meter::Shadowed;
use crate::spans::Spans;
use crate::task_pool::{self, PoolTask, Slots};
use crate::upstream::conn;
use crate::wheel::{self, Deadline};
use crate::wire::head::Field;
use std::cell::RefCell;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Copies and answers that wait to be looked at, over all services.
const QUEUE: usize = 8192;
/// So many are taken before others are looked at that have an answer. A thread that has fallen behind
/// would have them all under way at once, each on a connection of its own.
const BATCH: usize = 32;
const NAP: Duration = Duration::from_millis(1);
/// How often connections that nobody needs are closed.
const TIDY: Duration = Duration::from_secs(5);
/// A deadline that is noticed so much later was missed here, and not by the shadow.
const LATE: Duration = Duration::from_millis(250);
/// Lower than whoever serves requests.
const NICE: i32 = 5;

/// A handle, for everyone who has a copy to send.
#[derive(Clone, Default)]
pub(crate) struct Shadows(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// Begins with the first configuration that copies.
    queue: OnceLock<mpsc::Sender<Message>>,
    memory: Arc<Memory>,
    spare: Spare,
    spans: Spans,
}

impl std::fmt::Debug for Shadows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shadows")
    }
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are copies, and the queue's blocks are kept"
)]
pub(super) enum Message {
    Copy(Job),
    /// The primary's answer is there, and the shadow's was there before.
    Heard(Arc<ResponsePair>),
}

/// A copy that is carried, and where its answer is to be left.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) copy: Copy,
    pub(super) pair: Arc<ResponsePair>,
    pub(super) due: Instant,
}

impl Shadows {
    pub(crate) fn new(spans: Spans) -> Self {
        Self(Arc::new(Inner { spans, ..Inner::default() }))
    }

    /// Without this, every copy finds the queue full.
    pub(crate) fn start(&self) -> io::Result<()> {
        if self.0.queue.get().is_some() {
            return Ok(());
        }
        let (queue, words) = mpsc::channel(QUEUE);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("serin-shadow".to_owned()).spawn(move || {
            if let Err(error) = rustix::process::setpriority_process(None, NICE) {
                tracing::warn!(%error, "copies are sent at the priority of requests");
            }
            runtime.block_on(work(words));
        })?;
        // Reloads are one after the other, so nobody else was first.
        let _ = self.0.queue.set(queue);
        Ok(())
    }

    /// Says whether there was room.
    pub(super) fn hand(&self, message: Message) -> bool {
        self.0.queue.get().is_some_and(|queue| queue.try_send(message).is_ok())
    }

    pub(super) fn spans(&self) -> &Spans {
        &self.0.spans
    }

    pub(super) fn memory(&self) -> &Arc<Memory> {
        &self.0.memory
    }

    pub(super) fn spare(&self) -> &Spare {
        &self.0.spare
    }

    /// Bytes that copies and their answers hold.
    pub(crate) fn held(&self) -> u64 {
        self.0.memory.held()
    }
}

thread_local! {
    static TASKS: RefCell<Slots<Job>> = RefCell::default();
}

/// What a task uses again for each copy.
#[derive(Default)]
struct Tools {
    deadline: Deadline,
    fields: Vec<Field>,
}

/// Ends when nobody is left who could hand over a copy.
async fn work(mut words: mpsc::Receiver<Message>) {
    let turning = tokio::spawn(wheel::turn());
    let tidied = tokio::spawn(tidy());
    while let Some(message) = words.recv().await {
        take(message);
        loop {
            match take_some(&mut words) {
                0 => break,
                // Answers that have come meanwhile go first: what is free again is used again.
                BATCH => tokio::task::yield_now().await,
                _ => tokio::time::sleep(NAP).await,
            }
        }
    }
    tidied.abort();
    turning.abort();
}

/// Says how many there were, at most a batch.
fn take_some(words: &mut mpsc::Receiver<Message>) -> usize {
    let some = std::iter::from_fn(|| words.try_recv().ok()).take(BATCH);
    some.map(take).count()
}

fn take(message: Message) {
    match message {
        Message::Copy(job) => task_pool::spawn(&TASKS, job, carry),
        Message::Heard(pair) => {
            if let Some(both) = pair.take() {
                settle(both);
            }
        }
    }
}

async fn tidy() {
    loop {
        tokio::time::sleep(TIDY).await;
        conn::sweep(Instant::now());
        task_pool::sweep(&TASKS);
    }
}

/// Carries copies, one at a time.
async fn carry(mut task: PoolTask<Job>) {
    let mut tools = Tools::default();
    while let Some(Job { copy, due, .. }) = task.next().await {
        let sample = Sample::begin(copy);
        let carried = carried(copy, *due, &mut tools).await;
        if let Some(sample) = sample {
            sample.end(copy, carried.as_ref());
        }
        if let Some(job) = task.take() {
            end(job, carried);
        }
    }
}

fn end(Job { mut copy, pair, .. }: Job, carried: Result<Answer, Dropped>) {
    match carried {
        Ok(answer) => {
            copy.slot = None;
            copy.body = Vec::new();
            pair.answered(Box::new(Answered { copy, answer }));
            if let Some(both) = pair.take() {
                settle(both);
            }
        }
        Err(why) => {
            if why.is_failure() {
                copy.mirror.count(Shadowed::Failed);
            }
            copy.mirror.drop_one(why);
        }
    }
}

async fn carried(copy: &mut Copy, due: Instant, tools: &mut Tools) -> Result<Answer, Dropped> {
    if !copy.is_allowed() {
        return Err(Dropped::Withdrawn);
    }
    copy.redact()?;
    // Time that it has spent here says nothing about the shadow.
    let now = Instant::now();
    if now >= due {
        return Err(Dropped::Full);
    }
    let outgoing = Outgoing {
        copy: Some(copy),
        head: &copy.head,
        body: &copy.body,
        framed: copy.framed,
        rules: copy.mirror.rules.as_ref(),
        most: copy.mirror.config.max_body,
        memory: copy.mirror.shadows.memory(),
    };
    let Tools { deadline, fields } = tools;
    let sent = send(&outgoing, &copy.mirror.to, fields, now);
    match deadline.limit(due, sent).await {
        Some(answered) => answered,
        // On a machine that is overloaded it is this thread that is late first.
        None if Instant::now() > due + LATE => Err(Dropped::Full),
        None => Err(Dropped::Timeout),
    }
}
