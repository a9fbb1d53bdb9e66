//! The process that serves: starts its successor, and goes on if that fails.

use super::channel::{Channel, MOST};
use super::{FORMAT, Word};
use crate::run::parts::Parts;
use crate::run::systemd;
use serin_config::model::AdminAddress;
use serin_control::api::{Serve, Upgraded};
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Child, Command, Stdio};
use std::sync::PoisonError;
use std::time::Duration;

/// Reading ten thousand routes and waiting for the first health checks takes seconds.
const TO_PREPARE: Duration = Duration::from_secs(60);
/// Nobody decides anything meanwhile, so this is short.
const TO_TAKE: Duration = Duration::from_secs(10);

/// How this process was started, and its successor will be.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    name: OsString,
    arguments: Vec<OsString>,
}

impl Program {
    /// By the name that was typed, not by the file that runs: that one is what gets replaced.
    pub(crate) fn of_this_process() -> Option<Self> {
        let mut arguments = std::env::args_os();
        let name = arguments.next()?;
        let arguments = arguments.filter(|argument| argument != super::take::FLAG).collect();
        Some(Self { name, arguments })
    }
}

/// Blocks until another process serves, or says why this one goes on.
pub(crate) fn hand_over(parts: &Parts, program: &Program) -> Result<Upgraded, String> {
    if std::process::id() == 1 {
        return Err("process 1 of a container cannot hand over, because the container ends with it: replace the container".to_owned());
    }
    let generation = parts.proxy.generation().generation;
    let mut successor = Successor::start(program)?;
    // While it prepares, which may take long, files are read again as ever.
    let taken = introduce(&successor, parts).and_then(|version| {
        let alone = parts.changing();
        parts.may_hand_over()?;
        if parts.proxy.generation().generation != generation {
            return Err("the configuration was changed while it prepared; upgrade again".to_owned());
        }
        take(&successor, parts)?;
        Ok((version, alone))
    });
    match taken {
        Ok((version, _alone)) => {
            parts.part();
            let pid = successor.child.id();
            tracing::info!(pid, version, "another process serves; finishing what is in flight");
            systemd::notify(&format!("MAINPID={pid}"));
            Ok(Upgraded { pid, version, previous_pid: std::process::id() })
        }
        Err(why) => {
            let why = successor.end(why);
            tracing::error!("the hand-over failed, and this process goes on: {why}");
            Err(format!("the new process did not take over, and nothing has changed: {why}"))
        }
    }
}

/// Everything that can fail without anybody noticing.
fn introduce(successor: &Successor, parts: &Parts) -> Result<String, String> {
    let text = |e: std::io::Error| e.to_string();
    let channel = &successor.channel;
    channel.say(&Word::Hello { format: FORMAT, pid: std::process::id() }).map_err(text)?;
    for listener in parts.proxy.hand_over().map_err(text)? {
        let Some(name) = listener.listener else { continue };
        for some in listener.sockets.chunks(MOST) {
            let beside: Vec<BorrowedFd<'_>> = some.iter().map(AsFd::as_fd).collect();
            let word = Word::Listener { name: name.clone(), address: listener.address };
            channel.say_with(&word, &beside).map_err(text)?;
        }
    }
    if let Some(door) = parts.door.get() {
        let address = written(&door.address);
        // A program that knows of one socket only takes the first.
        let sockets = door.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        let beside: Vec<BorrowedFd<'_>> = sockets.iter().map(AsFd::as_fd).collect();
        channel.say_with(&Word::Admin { address }, &beside).map_err(text)?;
    }
    channel.say(&Word::Everything).map_err(text)?;
    let word = successor.hear(TO_PREPARE)?;
    if let Word::Prepared { version } = word {
        return Ok(version);
    }
    Err(refusal(word))
}

/// The short while in which nobody has the journal, or the successor does.
fn take(successor: &Successor, parts: &Parts) -> Result<(), String> {
    parts.serve_admin(Serve::Wait);
    parts.control.hand_over();
    let said = successor.channel.say(&Word::Yours).map_err(|e| e.to_string());
    let heard = said.and_then(|()| successor.hear(TO_TAKE));
    if matches!(heard, Ok(Word::Serving)) {
        return Ok(());
    }
    // Before the journal is taken back, nobody else may have it.
    successor.kill();
    if let Err(error) = parts.control.take_back(TO_TAKE) {
        tracing::error!(%error, "the journal cannot be taken back: weights stay frozen");
    }
    parts.serve_admin(Serve::Accept);
    Err(heard.map_or_else(|why| why, refusal))
}

fn refusal(word: Word) -> String {
    if let Word::Failed { why } = word {
        return why;
    }
    format!("it spoke out of turn: {word:?}")
}

pub(super) fn written(address: &AdminAddress) -> String {
    match address {
        AdminAddress::Tcp(address) => address.to_string(),
        AdminAddress::Unix(path) => format!("unix:{}", path.display()),
    }
}

struct Successor {
    child: Child,
    channel: Channel,
}

impl Successor {
    fn start(program: &Program) -> Result<Self, String> {
        let (channel, theirs) = Channel::pair().map_err(|e| e.to_string())?;
        let child = Command::new(&program.name)
            .args(&program.arguments)
            .arg(super::take::FLAG)
            .stdin(Stdio::from(theirs))
            .spawn()
            .map_err(|e| format!("cannot start {}: {e}", program.name.display()))?;
        Ok(Self { child, channel })
    }

    fn hear(&self, within: Duration) -> Result<Word, String> {
        match self.channel.hear(within) {
            Ok(Some((word, _))) => Ok(word),
            Ok(None) => {
                Err("it ended before it could serve; its own words are in the log".to_owned())
            }
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                Err(format!("it was not ready within {} s", within.as_secs()))
            }
            Err(e) => Err(e.to_string()),
        }
    }

    fn kill(&self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            // It may be gone already.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }

    /// Leaves nothing behind, and adds how it ended where it did not say.
    fn end(&mut self, why: String) -> String {
        self.kill();
        match self.child.wait() {
            Ok(status) if status.code().is_some() => format!("{why} ({status})"),
            Ok(_) | Err(_) => why,
        }
    }
}
