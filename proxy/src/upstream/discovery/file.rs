//! A file that lists endpoints, written by somebody else: an orchestrator's agent, a template, a deploy
//! hook.
//!
//! All files of the process are followed by one watch, the same that follows the configuration: it waits
//! until a file rests, follows links as they are swapped, and looks once a second where nobody notifies.
//! When one file has changed all are read again, which is cheap and cannot miss any.

use super::{Answer, Found};
use serin_config::Watch;
use serin_config::endpoint_list::{self, ListedEndpoint};
use serin_config::model::EndpointHost;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// The files that are followed.
#[derive(Debug, Clone)]
pub(in crate::upstream) struct Lists(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    followed: Mutex<Followed>,
    /// Counts how often some file has changed.
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Followed {
    /// By how many sources.
    files: BTreeMap<PathBuf, usize>,
    watch: Option<Watch>,
}

impl Default for Lists {
    fn default() -> Self {
        let changed = watch::Sender::new(0);
        Self(Arc::new(Shared { followed: Mutex::default(), changed }))
    }
}

/// Follows its file for as long as it lives.
struct Follower {
    lists: Lists,
    path: PathBuf,
}

impl Lists {
    fn follow(&self, path: PathBuf) -> Follower {
        self.count(&path, |count| count + 1);
        Follower { lists: self.clone(), path }
    }

    fn count(&self, path: &Path, change: impl Fn(usize) -> usize) {
        let mut followed = self.0.followed.lock().unwrap_or_else(PoisonError::into_inner);
        let count = change(followed.files.get(path).copied().unwrap_or_default());
        match count {
            0 => followed.files.remove(path),
            count => followed.files.insert(path.to_owned(), count),
        };
        let files: Vec<PathBuf> = followed.files.keys().cloned().collect();
        match &followed.watch {
            Some(watch) => watch.follow(files),
            None => {
                let changed = self.0.changed.clone();
                match Watch::start(files, move || changed.send_modify(|count| *count += 1)) {
                    Ok(watch) => followed.watch = Some(watch),
                    Err(error) => tracing::error!(%error, "lists of endpoints cannot be followed"),
                }
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.lists.count(&self.path, |count| count.saturating_sub(1));
    }
}

pub(super) async fn watch(path: PathBuf, tls: bool, lists: &Lists, take: impl Fn(Answer) -> bool) {
    let mut changed = lists.0.changed.subscribe();
    let _follower = lists.follow(path.clone());
    let mut last = None;
    loop {
        let file = path.clone();
        let read = tokio::task::spawn_blocking(move || set(&file, tls)).await;
        let answer = read.unwrap_or_else(|error| Err(error.to_string()));
        if last.as_ref() != Some(&answer) && !take(answer.clone()) {
            return;
        }
        last = Some(answer);
        if changed.changed().await.is_err() {
            return;
        }
    }
}

/// It may block.
pub(super) fn set(path: &Path, tls: bool) -> Answer {
    let found = |listed: ListedEndpoint| {
        let mut endpoint = listed.endpoint;
        endpoint.tls |= tls && !listed.says_scheme;
        let EndpointHost::Ip(ip) = endpoint.host else { return None };
        Some(Found { endpoint, ip, weight: listed.weight, priority: listed.priority })
    };
    let listed = endpoint_list::read(path).map_err(|error| error.to_string())?;
    Ok(listed.into_iter().filter_map(found).collect())
}
