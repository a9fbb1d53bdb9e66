//! Questions to DNS, whose answers say for how long they hold.
//!
//! The system's resolver knows neither that nor SRV records. Servers, search list and the rest are read
//! from `/etc/resolv.conf` with each question, so that what changes there needs no reload; `/etc/hosts`
//! is not asked.

use super::name::usable;
use crate::upstream::health::jittered;
use bytes::Bytes;
use domain::base::iana::Rcode;
use domain::base::name::ToName;
use domain::base::rdata::ParseRecordData;
use domain::base::{Name, ParsedName, Rtype};
use domain::rdata::{A, Aaaa, Srv};
use domain::resolv::StubResolver;
use domain::resolv::stub::Answer;
use domain::resolv::stub::conf::{ResolvConf, ResolvOptions, ServerConf, Transport};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A question without an answer by then has failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// An answer that holds for no time at all is asked for again after so long, one that holds for ever after
/// a day.
const TTL_MIN: Duration = Duration::from_secs(1);
const TTL_MAX: Duration = Duration::from_secs(86_400);

/// What a name has, and for how long.
#[derive(Debug)]
pub(super) struct Records<T> {
    pub(super) all: Vec<T>,
    pub(super) ttl: Duration,
}

/// What one SRV record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) weight: u16,
    pub(super) priority: u16,
}

#[derive(Debug)]
pub(super) struct Lookup {
    /// Empty means those of the system.
    servers: Vec<SocketAddr>,
}

impl Lookup {
    pub(super) fn new(servers: Vec<SocketAddr>) -> Self {
        Self { servers }
    }

    /// Addresses of IPv6 are asked for where there are none of IPv4.
    pub(super) async fn addresses(&self, name: &str) -> Result<Records<IpAddr>, String> {
        let resolver = StubResolver::from_conf(self.conf());
        for name in candidates(name, resolver.options())? {
            match addresses(&resolver, &name).await {
                Ok(records) if !records.all.is_empty() => return Ok(records),
                Ok(_) => {}
                // The next name is another's, who was not asked for.
                Err(why) => return Err(why),
            }
        }
        Err("the name has no address".to_owned())
    }

    /// Those of a name that an answer has said, and that may have none.
    pub(super) async fn addresses_of_host(&self, host: &str) -> Result<Records<IpAddr>, String> {
        let resolver = StubResolver::from_conf(self.conf());
        addresses(&resolver, &absolute(host)?).await
    }

    pub(super) async fn targets(&self, name: &str) -> Result<Records<Target>, String> {
        let resolver = StubResolver::from_conf(self.conf());
        for name in candidates(name, resolver.options())? {
            match targets(&resolver, &name).await {
                Ok(records) if !records.all.is_empty() => return Ok(records),
                Ok(_) => {}
                Err(why) => return Err(why),
            }
        }
        Err("the name has no SRV record".to_owned())
    }

    fn conf(&self) -> ResolvConf {
        if self.servers.is_empty() {
            return ResolvConf::default();
        }
        let mut conf = ResolvConf::new();
        let server = |address: &SocketAddr| ServerConf::new(*address, Transport::UdpTcp);
        conf.servers = self.servers.iter().map(server).collect();
        conf.finalize();
        conf
    }
}

type DnsName = Name<Vec<u8>>;

/// It goes into requests of health checks, so it holds nothing that a host cannot.
fn is_host(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b == b'.';
    name.bytes().all(inner) && name != "."
}

fn absolute(name: &str) -> Result<DnsName, String> {
    name.parse().map_err(|error| format!("{name} is no name: {error}"))
}

/// The names that one name may stand for, as the system's resolver would try them: one with few dots is
/// first looked for in the search list.
fn candidates(name: &str, options: &ResolvOptions) -> Result<Vec<DnsName>, String> {
    let alone = absolute(name)?;
    if name.ends_with('.') {
        return Ok(vec![alone]);
    }
    let suffixes = options.search.as_slice().iter().filter(|suffix| !suffix.is_root());
    let mut all: Vec<DnsName> =
        suffixes.filter_map(|suffix| absolute(&format!("{name}.{suffix}")).ok()).collect();
    let place = if name.matches('.').count() >= options.ndots { 0 } else { all.len() };
    all.insert(place, alone);
    Ok(all)
}

async fn addresses(resolver: &StubResolver, name: &DnsName) -> Result<Records<IpAddr>, String> {
    let four = ask(resolver, name, Rtype::A).await?;
    let all = records::<A, _>(&four, |a| IpAddr::from(a.addr()));
    if !all.is_empty() {
        return Ok(Records { all: usable(all), ttl: ttl(&four) });
    }
    let six = ask(resolver, name, Rtype::AAAA).await?;
    let all = records::<Aaaa, _>(&six, |aaaa| IpAddr::from(aaaa.addr()));
    Ok(Records { all: usable(all), ttl: ttl(&six) })
}

async fn targets(resolver: &StubResolver, name: &DnsName) -> Result<Records<Target>, String> {
    let answer = ask(resolver, name, Rtype::SRV).await?;
    let all = records::<Srv<ParsedName<Bytes>>, _>(&answer, |srv| {
        let (port, weight, priority) = (srv.port(), srv.weight(), srv.priority());
        let host = srv.target().to_name::<Vec<u8>>().to_string();
        // A root says that the service is decidedly not to be had here.
        let usable = port != 0 && is_host(&host);
        usable.then_some(Target { host, port, weight, priority })
    });
    let all = all.into_iter().flatten().collect();
    Ok(Records { all, ttl: ttl(&answer) })
}

/// A name that does not exist has an answer, without records.
async fn ask(resolver: &StubResolver, name: &DnsName, what: Rtype) -> Result<Answer, String> {
    let answer = tokio::time::timeout(PATIENCE, resolver.query((name, what))).await;
    let answer = match answer {
        Ok(answer) => answer.map_err(|error| format!("no name server answers: {error}"))?,
        Err(_) => return Err("no name server answers in time".to_owned()),
    };
    match answer.header().rcode() {
        Rcode::NOERROR | Rcode::NXDOMAIN => Ok(answer),
        other => Err(format!("the name server says {other}")),
    }
}

fn records<R, T>(answer: &Answer, of: impl Fn(R) -> T) -> Vec<T>
where
    R: for<'a> ParseRecordData<'a, Bytes>,
{
    // Aliases lead from the name that was asked for to the one that has records. Others' are none of ours.
    let Some(name) = answer.canonical_name() else { return Vec::new() };
    let section = answer.answer();
    let all = section.into_iter().flat_map(|section| section.limit_to::<R>().flatten());
    all.filter(|record| *record.owner() == name).map(|record| of(record.into_data())).collect()
}

/// The shortest time of all that led to the answer, aliases included.
fn ttl(answer: &Answer) -> Duration {
    let section = answer.answer().into_iter().flat_map(|section| section.flatten());
    let least = section.map(|record| record.ttl().into_duration()).min();
    least.unwrap_or(TTL_MIN)
}

/// When a question is put again: when its answer no longer holds, and after one that failed sooner at first
/// than later.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    failed: u32,
}

impl Pauses {
    pub(super) fn after<T>(&mut self, answer: &Result<Records<T>, String>) -> Duration {
        match answer {
            Ok(records) => {
                self.failed = 0;
                records.ttl.clamp(TTL_MIN, TTL_MAX)
            }
            Err(_) => {
                self.failed = (self.failed + 1).min(4);
                jittered(TTL_MIN * (1 << (self.failed - 1)), crate::thread::random())
            }
        }
    }
}
