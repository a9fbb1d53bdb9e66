//! The process that takes over.

use super::channel::Channel;
use super::{FORMAT, Word};
use serin_config::model::Admin;
use serin_proxy::Inherited;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Says that standard input is the other end of a hand-over.
pub(crate) const FLAG: &str = "--take-over";

/// The process before says its words at once, and waits for us.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sockets that are open already, and who opened them. Without any: a fresh start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Takeover(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// `None` when nobody waits for a word.
    from: Option<Channel>,
    listeners: Mutex<Vec<Inherited>>,
    /// As the process before wrote its address; empty when whoever opened it knows no names.
    admin: Mutex<Option<(String, OwnedFd)>>,
    /// Of `admin.probes`, wherever that listened.
    probes: Mutex<Option<OwnedFd>>,
}

impl Takeover {
    /// What systemd or its like has opened.
    pub(crate) fn of_sockets(listeners: Vec<Inherited>, admin: Option<OwnedFd>) -> Self {
        let admin = Mutex::new(admin.map(|socket| (String::new(), socket)));
        let probes = Mutex::default();
        Self(Arc::new(Inner { from: None, listeners: Mutex::new(listeners), admin, probes }))
    }

    /// From the process that started this one.
    pub(crate) fn from_predecessor() -> Result<Self, String> {
        let socket = std::io::stdin().as_fd().try_clone_to_owned().map_err(|e| e.to_string())?;
        let channel = Channel::of(socket);
        let (mut listeners, mut admin, mut probes) = (Vec::new(), None, None);
        loop {
            let (word, beside) = hear(&channel)?;
            match word {
                Word::Hello { format, pid } if format == FORMAT => {
                    tracing::info!(pid, "taking over from another process");
                }
                Word::Hello { format, .. } => {
                    let why = format!(
                        "the process before hands over in format {format}, and this program takes over in format {FORMAT}: restart it instead"
                    );
                    let _ = channel.say(&Word::Failed { why: why.clone() });
                    return Err(why);
                }
                Word::Listener { name, address } => {
                    let sockets = beside.into_iter().map(Into::into).collect();
                    listeners.push(Inherited { listener: Some(name), address, sockets });
                }
                Word::Admin { address } => {
                    let mut sockets = beside.into_iter();
                    admin = sockets.next().map(|socket| (address, socket));
                    probes = sockets.next();
                }
                Word::Everything => break,
                Word::Prepared { .. } | Word::Yours | Word::Serving | Word::Failed { .. } => {
                    return Err(format!("the process before spoke out of turn: {word:?}"));
                }
            }
        }
        let (listeners, admin) = (Mutex::new(joined(listeners)), Mutex::new(admin));
        let probes = Mutex::new(probes);
        Ok(Self(Arc::new(Inner { from: Some(channel), listeners, admin, probes })))
    }

    /// Another process serves until this one does.
    pub(crate) fn is_a_hand_over(&self) -> bool {
        self.0.from.is_some()
    }

    pub(crate) fn listeners(&self) -> Vec<Inherited> {
        std::mem::take(&mut *self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The admin socket and that of probes, when they are those that the configuration wants.
    pub(crate) fn admin(&self, admin: &Admin) -> (Option<OwnedFd>, Option<OwnedFd>) {
        let inherited = self.0.admin.lock().unwrap_or_else(PoisonError::into_inner).take();
        let wanted = super::give::written(&admin.address);
        let socket = inherited.filter(|(address, _)| address.is_empty() || *address == wanted);
        let probes = self.0.probes.lock().unwrap_or_else(PoisonError::into_inner).take();
        (
            socket.map(|(_, socket)| socket),
            probes.filter(|socket| is_bound_to(socket, admin.probes)),
        )
    }

    /// Everything but the journal is ready. Returns when that is free.
    pub(crate) fn prepared(&self) -> Result<(), String> {
        let Some(channel) = &self.0.from else { return Ok(()) };
        let version = env!("CARGO_PKG_VERSION").to_owned();
        channel.say(&Word::Prepared { version }).map_err(|e| e.to_string())?;
        let (word, _) = hear(channel)?;
        if matches!(word, Word::Yours) {
            return Ok(());
        }
        Err(format!("the process before spoke out of turn: {word:?}"))
    }

    pub(crate) fn serving(&self) -> Result<(), String> {
        let Some(channel) = &self.0.from else { return Ok(()) };
        channel.say(&Word::Serving).map_err(|e| e.to_string())
    }

    pub(crate) fn failed(&self, why: String) {
        if let Some(channel) = &self.0.from {
            // Whoever waited finds the channel closed.
            let _ = channel.say(&Word::Failed { why });
        }
    }
}

/// Port 0 is whatever the process before got for it.
fn is_bound_to(socket: &OwnedFd, wanted: Option<SocketAddr>) -> bool {
    let bound = socket.try_clone().and_then(|socket| TcpListener::from(socket).local_addr());
    match (bound, wanted) {
        (Ok(bound), Some(wanted)) => {
            bound.ip() == wanted.ip() && (wanted.port() == 0 || bound.port() == wanted.port())
        }
        (Ok(_) | Err(_), _) => false,
    }
}

fn hear(channel: &Channel) -> Result<(Word, Vec<OwnedFd>), String> {
    match channel.hear(PATIENCE) {
        Ok(Some(heard)) => Ok(heard),
        Ok(None) => Err("the process before has ended".to_owned()),
        Err(e) => Err(format!("the process before does not speak: {e}")),
    }
}

/// One entry for each listener.
fn joined(parts: Vec<Inherited>) -> Vec<Inherited> {
    let mut all: Vec<Inherited> = Vec::new();
    for part in parts {
        match all.iter_mut().find(|i| i.listener == part.listener && i.address == part.address) {
            Some(same) => same.sockets.extend(part.sockets),
            None => all.push(part),
        }
    }
    all
}
