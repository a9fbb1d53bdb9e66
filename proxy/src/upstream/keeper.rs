//! Who belongs to a version's group, and the tasks that look after them.
//!
//! The keeper has each source of endpoints followed, makes of every set that it says endpoints that live,
//! and has their health watched. It is the only one that changes a group's members. Its tasks end with it,
//! or earlier, when a newer configuration takes its place.
//!
//! Who joins gets requests after its first health check; where there are none and somebody else says who
//! joins, once it can be connected to. Who leaves goes when it can
//! be spared: once everybody of the set has been looked at, and somebody is ready. Requests that it has
//! are answered.

use super::discovery::{self, Answer, Found, Lists, Resolver, Source, Tools, name};
use super::endpoint::Endpoint;
use super::group::Group;
use super::health;
use super::own_listeners::OwnListeners;
use super::peer::PeerSettings;
use crate::clock;
use crate::heartbeat::Heartbeats;
use serin_config::model;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What every version needs to come to life, the same for all of them.
#[derive(Clone)]
pub struct Upstreams {
    /// Runs the tasks. Without one there are none, as in tests of what needs neither.
    pub runtime: Option<Handle>,
    pub resolver: Resolver,
    /// How often a name is resolved again.
    pub resolve_every: Duration,
    lists: Lists,
    /// Told when an endpoint's health has changed, or who belongs to a version.
    pub(crate) changed: Arc<Notify>,
    /// Whether this process is on time for what it measures.
    pub(crate) heartbeats: Arc<Heartbeats>,
    /// Where nobody's endpoints are.
    pub(crate) own: OwnListeners,
    /// A configuration before this one was in force: endpoints that are new now have to pass
    /// their first health check before they get requests, and start slowly. The first
    /// configuration's endpoints count as ready until a check says otherwise.
    pub joining: bool,
}

impl std::fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstreams").field("joining", &self.joining).finish_non_exhaustive()
    }
}

impl Upstreams {
    pub fn new(runtime: Option<Handle>, resolver: Resolver) -> Self {
        Self {
            runtime,
            resolver,
            resolve_every: name::AGAIN,
            lists: Lists::default(),
            changed: Arc::default(),
            heartbeats: Arc::new(Heartbeats::new(1)),
            own: OwnListeners::default(),
            joining: false,
        }
    }

    #[must_use]
    pub fn joining(mut self, joining: bool) -> Self {
        self.joining = joining;
        self
    }

    fn tools(&self) -> Tools {
        Tools {
            resolver: Arc::clone(&self.resolver),
            resolve_every: self.resolve_every,
            lists: self.lists.clone(),
        }
    }
}

pub(super) struct Keeper {
    group: Arc<Group>,
    settings: PeerSettings,
    health_check: Option<model::HealthCheck>,
    upstreams: Upstreams,
    followed: Mutex<Vec<Followed>>,
    following: Mutex<Vec<Task>>,
    resolve_failures: AtomicU64,
    myself: Weak<Self>,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("group", &self.group).finish_non_exhaustive()
    }
}

/// One source, with what it says now.
struct Followed {
    source: Source,
    /// Its latest set; `None` before the first.
    set: Option<Vec<Found>>,
    /// Why the set is not its latest word.
    fault: Option<String>,
    members: Vec<Member>,
    /// No longer of the set, and still needed.
    leaving: Vec<Member>,
}

struct Member {
    endpoint: Arc<Endpoint>,
    _watch: Option<Task>,
}

/// Ends with its owner.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Keeper {
    /// `previous` is that of the configuration before: what it knows of a source and of an endpoint that
    /// stay is taken over.
    pub(super) fn new(
        group: Arc<Group>,
        endpoints: &model::Endpoints,
        settings: PeerSettings,
        health_check: Option<model::HealthCheck>,
        previous: Option<&Self>,
        upstreams: &Upstreams,
    ) -> Arc<Self> {
        let sources = discovery::sources(endpoints);
        group.replace(&[], sources.len());
        let followed = |source: Source| Followed {
            source,
            set: None,
            fault: None,
            members: Vec::new(),
            leaving: Vec::new(),
        };
        let keeper = Arc::new_cyclic(|myself| Self {
            group,
            settings,
            health_check,
            upstreams: upstreams.clone(),
            followed: Mutex::new(sources.iter().cloned().map(followed).collect()),
            following: Mutex::default(),
            resolve_failures: AtomicU64::new(0),
            myself: Weak::clone(myself),
        });
        let known = previous.map(Self::endpoints).unwrap_or_default();
        for (index, source) in sources.into_iter().enumerate() {
            // Until its first word, what the configuration before knew.
            let before = || previous.and_then(|previous| previous.set_of(&source));
            let says = source.at_once().map(|answer| match source.changes() {
                true => answer.and_then(|set| keeper.without_own(set)),
                // The configuration's own word, which `serin check` warns of.
                false => answer.map(|set| (set, None)),
            });
            match says {
                Some(Ok((set, _))) => keeper.put(index, set, &known),
                Some(Err(_)) | None => {
                    if let Some(set) = before() {
                        keeper.put(index, set, &known);
                    }
                }
            }
            if source.changes() {
                keeper.follow(index, source);
            }
        }
        keeper
    }

    pub(super) fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// Times that a name could not be resolved.
    pub(super) fn resolve_failures(&self) -> u64 {
        self.resolve_failures.load(Relaxed)
    }

    /// Which sources say nothing now, and why.
    pub(super) fn faults(&self) -> Vec<String> {
        let fault = |followed: &Followed| {
            let why = followed.fault.as_ref()?;
            Some(match &followed.set {
                Some(set) => format!("{}: {why}; kept: {}", followed.source, set.len()),
                None => format!("{}: {why}", followed.source),
            })
        };
        lock(&self.followed).iter().filter_map(fault).collect()
    }

    /// Whether somebody else says who belongs to it.
    pub(super) fn is_told(&self) -> bool {
        lock(&self.followed).iter().any(|followed| followed.source.changes())
    }

    pub(super) fn is_in_the_dark(&self) -> bool {
        lock(&self.followed).iter().any(|followed| followed.fault.is_some())
    }

    /// Ends the tasks: a newer keeper looks after these addresses.
    pub(super) fn retire(&self) {
        lock(&self.following).clear();
        let mut followed = lock(&self.followed);
        let members = followed.iter_mut().flat_map(|f| f.members.iter_mut().chain(&mut f.leaving));
        members.for_each(|member| member._watch = None);
    }

    /// Whether every source has said something, and every endpoint was looked at once.
    pub(super) fn is_settled(&self) -> bool {
        self.group.is_resolved() && !self.group.members().iter().any(|m| m.is_awaited())
    }

    fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        let followed = lock(&self.followed);
        let all = followed.iter().flat_map(|f| f.members.iter().chain(&f.leaving));
        all.map(|member| Arc::clone(&member.endpoint)).collect()
    }

    fn set_of(&self, source: &Source) -> Option<Vec<Found>> {
        let followed = lock(&self.followed);
        followed.iter().find(|followed| followed.source == *source)?.set.clone()
    }
}

/// What a source says, put in force.
impl Keeper {
    fn follow(&self, index: usize, source: Source) {
        let Some(runtime) = &self.upstreams.runtime else { return };
        let myself = Weak::clone(&self.myself);
        let take = move |answer: Answer| match myself.upgrade() {
            Some(keeper) => {
                keeper.take(index, answer);
                true
            }
            None => false,
        };
        let task = runtime.spawn(discovery::watch(source, self.upstreams.tools(), take));
        lock(&self.following).push(Task(task));
    }

    fn take(&self, index: usize, answer: Answer) {
        let unanswered = answer.is_err();
        let fault = match answer.and_then(|set| self.without_own(set)) {
            Ok((set, fault)) => {
                self.put(index, set, &[]);
                fault
            }
            Err(why) => Some(why),
        };
        let mut followed = lock(&self.followed);
        let Some(followed) = followed.get_mut(index) else { return };
        if unanswered && followed.source.asks_names() {
            self.resolve_failures.fetch_add(1, Relaxed);
        }
        if followed.fault == fault {
            return;
        }
        match &fault {
            Some(why) => {
                let kept = followed.members.len();
                tracing::warn!(source = %followed.source, why, kept, "endpoints are not known");
            }
            None => tracing::info!(source = %followed.source, "endpoints are known again"),
        }
        followed.fault = fault;
    }

    /// The set without who leads back here, and what is told of those.
    fn without_own(&self, mut set: Vec<Found>) -> Result<(Vec<Found>, Option<String>), String> {
        let mut own = None;
        set.retain(|found| {
            let address = found.address();
            let here = self.upstreams.own.listen_at(address);
            own = own.or(here.then_some(address));
            !here
        });
        let Some(own) = own else { return Ok((set, None)) };
        let why = format!("{own} is a listener of this proxy: requests would go round and round");
        if set.is_empty() { Err(why) } else { Ok((set, Some(why))) }
    }

    /// Puts a set in force. `known` are endpoints of the configuration before.
    fn put(&self, index: usize, set: Vec<Found>, known: &[Arc<Endpoint>]) {
        let mut all = lock(&self.followed);
        let Some(followed) = all.get_mut(index) else { return };
        if followed.set.as_ref() == Some(&set) {
            return;
        }
        // Who appears later joins; so does everybody of a later configuration.
        let joining = self.upstreams.joining || followed.set.is_some();
        let mut before = std::mem::take(&mut followed.members);
        before.append(&mut followed.leaving);
        for found in &set {
            let same = |member: &Member| {
                member.endpoint.address == found.address()
                    && member.endpoint.configured == found.endpoint
            };
            let member = match before.iter().position(same) {
                Some(place) => before.swap_remove(place),
                None => self.member(found, known, joining, joining && followed.source.changes()),
            };
            member.endpoint.weigh(found.weight, found.priority);
            followed.members.push(member);
        }
        followed.set = Some(set);
        followed.leaving = before;
        self.release(&mut all);
        self.publish(&all);
    }

    /// Lets those go that can be spared by now.
    fn release(&self, all: &mut [Followed]) -> bool {
        let now = clock::mono(Instant::now());
        let mut gone = false;
        for followed in all.iter_mut().filter(|followed| !followed.leaving.is_empty()) {
            let endpoints = || followed.members.iter().map(|member| &member.endpoint);
            let looked_at = !endpoints().any(|endpoint| endpoint.is_awaited());
            if looked_at && endpoints().any(|endpoint| endpoint.is_ready(now)) {
                followed.leaving.clear();
                gone = true;
            }
        }
        gone
    }

    /// What is known of an endpoint's health has changed.
    fn health_changed(&self) {
        let mut all = lock(&self.followed);
        if self.release(&mut all) {
            self.publish(&all);
        }
        drop(all);
        self.upstreams.changed.notify_one();
    }

    fn publish(&self, all: &[Followed]) {
        let members =
            all.iter().flat_map(|followed| followed.members.iter().chain(&followed.leaving));
        let members: Vec<_> = members.map(|member| Arc::clone(&member.endpoint)).collect();
        let unresolved = all.iter().filter(|followed| followed.set.is_none()).count();
        self.group.replace(&members, unresolved);
        self.upstreams.changed.notify_one();
    }

    /// `told`: somebody else says that it joins.
    fn member(&self, found: &Found, known: &[Arc<Endpoint>], joining: bool, told: bool) -> Member {
        let (configured, address) = (&found.endpoint, found.address());
        let known =
            known.iter().find(|known| known.address == address && known.configured == *configured);
        let serves = known.is_some_and(|known| known.is_healthy());
        let greeted = told && !serves && self.health_check.is_none();
        let checked = self.health_check.is_some() || greeted && self.upstreams.runtime.is_some();
        let healthy = !checked || !joining;
        let tls = configured.tls.then(|| self.settings.server_tls(&configured.host)).flatten();
        let speaks = self.settings.protocol;
        let mut endpoint =
            Endpoint::new(configured.clone(), address, speaks, tls, checked, healthy);
        endpoint.proxy_protocol = self.settings.proxy_protocol;
        match known {
            Some(known) => endpoint.take_over(known),
            None if joining && healthy => endpoint.join(clock::mono(Instant::now())),
            None => {}
        }
        let endpoint = Arc::new(endpoint);
        Member { _watch: self.watch(&endpoint), endpoint }
    }

    fn watch(&self, endpoint: &Arc<Endpoint>) -> Option<Task> {
        let runtime = self.upstreams.runtime.as_ref()?;
        let connect = self.settings.timeouts.connect;
        let myself = Weak::clone(&self.myself);
        let changed = move || {
            if let Some(keeper) = myself.upgrade() {
                keeper.health_changed();
            }
        };
        let Some(check) = self.health_check.clone() else {
            let greet = || health::greet(Arc::clone(endpoint), connect, changed);
            return (!endpoint.is_healthy()).then(|| Task(runtime.spawn(greet())));
        };
        let heartbeats = Arc::clone(&self.upstreams.heartbeats);
        let watch = health::watch(Arc::clone(endpoint), check, connect, changed, heartbeats);
        Some(Task(runtime.spawn(watch)))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
