//! Who belongs to a version's group, and the tasks that look after them.
//!
//! The keeper turns configured endpoints into addresses, watches their health and follows their
//! names. It is the only one that changes a group's members. Its tasks end with it, or earlier,
//! when a newer configuration takes its place.

use super::endpoint::Endpoint;
use super::group::Group;
use super::health;
use super::peer::PeerSettings;
use super::resolve::{self, Resolver};
use crate::clock;
use crate::heartbeat::Heartbeats;
use serin_config::model;
use std::net::{IpAddr, SocketAddr};
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
    /// Told when an endpoint's health has changed, or who belongs to a version.
    pub(crate) changed: Arc<Notify>,
    /// Whether this process is on time for what it measures.
    pub(crate) heartbeats: Arc<Heartbeats>,
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
            resolve_every: resolve::AGAIN,
            changed: Arc::default(),
            heartbeats: Arc::new(Heartbeats::new(1)),
            joining: false,
        }
    }

    #[must_use]
    pub fn joining(mut self, joining: bool) -> Self {
        self.joining = joining;
        self
    }
}

pub(super) struct Keeper {
    group: Arc<Group>,
    settings: PeerSettings,
    health_check: Option<model::HealthCheck>,
    upstreams: Upstreams,
    sources: Mutex<Vec<Source>>,
    resolutions: Mutex<Vec<Task>>,
    resolve_failures: AtomicU64,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("group", &self.group).finish_non_exhaustive()
    }
}

/// One configured endpoint, with the addresses it has now.
struct Source {
    configured: model::Endpoint,
    resolved: bool,
    members: Vec<Member>,
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
    /// `previous` are the endpoints of the configuration before; what is known of an address that
    /// stays is taken over.
    pub(super) fn new(
        group: Arc<Group>,
        configured: &[model::Endpoint],
        settings: PeerSettings,
        health_check: Option<model::HealthCheck>,
        previous: &[Arc<Endpoint>],
        upstreams: &Upstreams,
    ) -> Arc<Self> {
        let source = |endpoint: &model::Endpoint| Source {
            configured: endpoint.clone(),
            resolved: false,
            members: Vec::new(),
        };
        group.replace(Vec::new(), configured.len());
        let keeper = Arc::new(Self {
            group,
            settings,
            health_check,
            upstreams: upstreams.clone(),
            sources: Mutex::new(configured.iter().map(source).collect()),
            resolutions: Mutex::default(),
            resolve_failures: AtomicU64::new(0),
        });
        for (index, endpoint) in configured.iter().enumerate() {
            match &endpoint.host {
                model::EndpointHost::Ip(ip) => keeper.update(index, &[*ip], previous),
                model::EndpointHost::Name(name) => keeper.follow(index, name, previous),
            }
        }
        keeper
    }

    pub(super) fn group(&self) -> &Arc<Group> {
        &self.group
    }

    pub(super) fn resolve_failures(&self) -> u64 {
        self.resolve_failures.load(Relaxed)
    }

    /// Ends the tasks: a newer keeper looks after these addresses.
    pub(super) fn retire(&self) {
        lock(&self.resolutions).clear();
        lock(&self.sources).iter_mut().flat_map(|s| &mut s.members).for_each(|member| {
            member._watch = None;
        });
    }

    /// Whether every name was resolved once, and every endpoint looked at once.
    pub(super) fn is_settled(&self) -> bool {
        self.group.is_resolved()
            && (self.health_check.is_none() || self.group.members().iter().all(|m| m.is_observed()))
    }

    /// Puts the addresses of one configured endpoint in force.
    fn update(&self, index: usize, addresses: &[IpAddr], previous: &[Arc<Endpoint>]) {
        let mut sources = lock(&self.sources);
        let Some(source) = sources.get_mut(index) else { return };
        // An address that appears later joins; so does everything of a later configuration.
        let joining = self.upstreams.joining || source.resolved;
        let mut before = std::mem::take(&mut source.members);
        for ip in addresses {
            let address = SocketAddr::new(*ip, source.configured.port);
            let kept = before.iter().position(|member| member.endpoint.address == address);
            source.members.push(match kept {
                Some(place) => before.swap_remove(place),
                None => self.member(&source.configured, address, previous, joining),
            });
        }
        source.resolved = true;
        let members = sources.iter().flat_map(|source| &source.members);
        let members = members.map(|member| Arc::clone(&member.endpoint)).collect();
        let unresolved = sources.iter().filter(|source| !source.resolved).count();
        self.group.replace(members, unresolved);
        self.upstreams.changed.notify_one();
    }

    fn member(
        &self,
        configured: &model::Endpoint,
        address: SocketAddr,
        previous: &[Arc<Endpoint>],
        joining: bool,
    ) -> Member {
        let healthy = self.health_check.is_none() || !joining;
        let tls = configured.tls.then(|| self.settings.server_tls(&configured.host)).flatten();
        let checked = self.health_check.is_some();
        let speaks = self.settings.protocol;
        let mut endpoint =
            Endpoint::new(configured.clone(), address, speaks, tls, checked, healthy);
        endpoint.proxy_protocol = self.settings.proxy_protocol;
        let known = previous
            .iter()
            .find(|known| known.address == address && known.configured == *configured);
        match known {
            Some(known) => endpoint.take_over(known),
            None if joining && healthy => endpoint.join(clock::mono(Instant::now())),
            None => {}
        }
        let endpoint = Arc::new(endpoint);
        Member { _watch: self.watch(&endpoint), endpoint }
    }

    fn watch(&self, endpoint: &Arc<Endpoint>) -> Option<Task> {
        let (check, runtime) = (self.health_check.clone()?, self.upstreams.runtime.as_ref()?);
        let connect = self.settings.timeouts.connect;
        let changed = Arc::clone(&self.upstreams.changed);
        let heartbeats = Arc::clone(&self.upstreams.heartbeats);
        let watch = health::watch(Arc::clone(endpoint), check, connect, changed, heartbeats);
        Some(Task(runtime.spawn(watch)))
    }

    fn follow(self: &Arc<Self>, index: usize, name: &str, previous: &[Arc<Endpoint>]) {
        let Some(runtime) = &self.upstreams.runtime else { return };
        // Until the first answer, what the configuration before knew.
        let configured = lock(&self.sources).get(index).map(|source| source.configured.clone());
        let known = previous.iter().filter(|known| Some(&known.configured) == configured.as_ref());
        let known: Vec<IpAddr> = known.map(|known| known.address.ip()).collect();
        if !known.is_empty() {
            self.update(index, &known, previous);
        }
        let task = follow(Arc::downgrade(self), index, name.to_owned());
        lock(&self.resolutions).push(Task(runtime.spawn(task)));
    }
}

async fn follow(keeper: Weak<Keeper>, index: usize, name: String) {
    let mut pause = resolve::AGAIN_UNRESOLVED;
    loop {
        let Some(resolver) = keeper.upgrade().map(|k| Arc::clone(&k.upstreams.resolver)) else {
            return;
        };
        let answer = resolve::resolve(resolver, name.clone()).await;
        let Some(keeper) = keeper.upgrade() else { return };
        match answer {
            Ok(addresses) => {
                keeper.update(index, &addresses, &[]);
                pause = keeper.upstreams.resolve_every;
            }
            Err(error) => {
                if keeper.resolve_failures.fetch_add(1, Relaxed) == 0 {
                    tracing::warn!(name, %error, "cannot resolve an endpoint's name");
                }
            }
        }
        drop(keeper);
        tokio::time::sleep(health::jittered(pause, crate::thread::random())).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
