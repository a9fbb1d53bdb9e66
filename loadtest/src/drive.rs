//! The open loop: at each moment of the course a request (or a visit of several) begins,
//! whatever became of the ones before.

use crate::arrivals::{Arrivals, Spacing, Stretch};
use crate::client::Pool;
use crate::mix::Mix;
use crate::pace::Pacer;
use crate::record::{Ended, Record, Sample};
use crate::users::Jar;
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

#[derive(Debug, Clone)]
pub struct Course {
    pub stretches: Vec<Stretch>,
    pub spacing: Spacing,
    pub seed: u64,
    /// 0: nobody has cookies.
    pub users: u32,
    pub visit: Visit,
}

/// What one arrival does: so many requests, each so long after the answer to the one before.
#[derive(Debug, Clone, Copy)]
pub struct Visit {
    pub requests: u32,
    pub think: Duration,
}

impl Default for Visit {
    fn default() -> Self {
        Self { requests: 1, think: Duration::ZERO }
    }
}

/// A run under way, readable at any time by whoever shares its thread.
#[derive(Debug)]
pub struct Run {
    pub record: RefCell<Record>,
    pub under_way: Cell<u64>,
    pub began: Instant,
    jars: RefCell<Vec<Jar>>,
    /// Users with a request under way.
    busy: RefCell<Vec<bool>>,
    numbered: Cell<u64>,
    done: tokio::sync::Notify,
    stopped: Cell<bool>,
}

impl Run {
    fn new(users: u32, began: Instant) -> Rc<Self> {
        Rc::new(Self {
            record: RefCell::default(),
            under_way: Cell::new(0),
            began,
            jars: RefCell::new(vec![Jar::default(); users as usize]),
            busy: RefCell::new(vec![false; users as usize]),
            numbered: Cell::new(0),
            done: tokio::sync::Notify::new(),
            stopped: Cell::new(false),
        })
    }

    /// No further request begins; those under way are waited for.
    pub fn stop(&self) {
        self.stopped.set(true);
    }

    /// The first free user from `wanted` on. Requests of one user follow one another, so that which
    /// version came after which is certain; where everyone is busy, the request is nobody's.
    fn occupy(&self, wanted: u32) -> Option<u32> {
        let mut busy = self.busy.borrow_mut();
        let all = busy.len() as u32;
        let user = (0..all).map(|step| (wanted + step) % all).find(|u| !busy[*u as usize])?;
        busy[user as usize] = true;
        Some(user)
    }

    fn leave(&self, user: Option<u32>) {
        if let Some(user) = user {
            self.busy.borrow_mut()[user as usize] = false;
        }
        self.under_way.set(self.under_way.get() - 1);
        if self.under_way.get() == 0 {
            self.done.notify_waiters();
        }
    }
}

/// Sends the whole course and waits for the last answer. `started` gets the run before its first
/// request. Lives on a `LocalSet`.
pub async fn drive(
    pool: Rc<Pool>,
    mix: Rc<Mix>,
    course: &Course,
    started: impl FnOnce(Rc<Run>),
) -> io::Result<Rc<Run>> {
    let pacer = Pacer::start()?;
    let run = Run::new(course.users, pacer.began());
    started(Rc::clone(&run));
    let mut dice = fastrand::Rng::with_seed(course.seed);
    let mut for_arrivals = dice.fork();
    let arrivals = Arrivals::new(course.stretches.clone(), course.spacing, || for_arrivals.f64());
    for due in arrivals {
        pacer.until(due).await?;
        if run.stopped.get() {
            break;
        }
        let user = (course.users > 0).then(|| dice.u32(0..course.users));
        let user = user.and_then(|wanted| run.occupy(wanted));
        run.under_way.set(run.under_way.get() + 1);
        tokio::task::spawn_local(visit(
            Rc::clone(&pool),
            Rc::clone(&mix),
            Rc::clone(&run),
            course.visit,
            due,
            user,
            dice.f64(),
        ));
        // Answers are read between two arrivals even when we are late.
        tokio::task::consume_budget().await;
        if pacer.elapsed() > due + Duration::from_millis(1) {
            tokio::task::yield_now().await;
        }
    }
    loop {
        let done = run.done.notified();
        if run.under_way.get() == 0 {
            return Ok(Rc::clone(&run));
        }
        done.await;
    }
}

async fn visit(
    pool: Rc<Pool>,
    mix: Rc<Mix>,
    run: Rc<Run>,
    visit: Visit,
    due: Duration,
    user: Option<u32>,
    dice: f64,
) {
    let mut due = due;
    for turn in 0..visit.requests {
        if turn > 0 {
            tokio::time::sleep(visit.think).await;
            due = run.began.elapsed();
        }
        let number = run.numbered.get();
        run.numbered.set(number + 1);
        // Later requests of a visit draw anew from the first one's number.
        let dice = (dice + f64::from(turn) * 0.618_033_988_749_895).fract();
        once(&pool, mix.pick(number, dice), &run, due, user).await;
    }
    run.leave(user);
}

async fn once(
    pool: &Pool,
    request: &crate::mix::Request,
    run: &Run,
    due: Duration,
    user: Option<u32>,
) {
    let cookies = user.and_then(|user| run.jars.borrow()[user as usize].header());
    let sent = Cell::new(due);
    let result = pool.ask(request, cookies, || sent.set(run.began.elapsed())).await;
    let now = run.began.elapsed();
    let (ended, version) = match result {
        Ok(answer) => {
            if let Some(user) = user {
                let mut jars = run.jars.borrow_mut();
                answer.set_cookies.iter().for_each(|c| jars[user as usize].keep(c));
            }
            (Ended::Status(answer.status), answer.version)
        }
        Err(ended) => (ended, None),
    };
    run.record.borrow_mut().add(&Sample {
        due,
        latency: now.saturating_sub(due),
        service: now.saturating_sub(sent.get()),
        ended,
        version,
        user,
    });
}
