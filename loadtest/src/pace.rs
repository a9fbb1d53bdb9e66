//! Waiting for a moment more exactly than the runtime's timer, which counts in milliseconds.
//!
//! At 20,000 requests a second a millisecond is twenty requests; rounding each start to it
//! would add half a millisecond of our own to every latency. A timerfd fires within some tens
//! of microseconds.

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;

#[derive(Debug)]
pub(crate) struct Pacer {
    timer: AsyncFd<OwnedFd>,
    began: Instant,
}

impl Pacer {
    /// Offsets count from here.
    pub(crate) fn start() -> io::Result<Self> {
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for types that may lie about their descriptor; an OwnedFd cannot"
        )]
        let timer = AsyncFd::new(timer)?;
        Ok(Self { timer, began: Instant::now() })
    }

    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Returns when `moment` has come; at once, but not before others had a turn, if it has passed.
    pub(crate) async fn until(&self, moment: Duration) -> io::Result<()> {
        loop {
            let elapsed = self.elapsed();
            if elapsed >= moment {
                return Ok(());
            }
            self.sleep(moment - elapsed).await?;
        }
    }

    async fn sleep(&self, rest: Duration) -> io::Result<()> {
        let nanos = rest.as_nanos().clamp(1, i64::MAX as u128) as i64;
        let value = Timespec { tv_sec: nanos / 1_000_000_000, tv_nsec: nanos % 1_000_000_000 };
        let never_again = Timespec { tv_sec: 0, tv_nsec: 0 };
        timerfd_settime(
            self.timer.get_ref(),
            TimerfdTimerFlags::empty(),
            &Itimerspec { it_interval: never_again, it_value: value },
        )?;
        let mut ready = self.timer.readable().await?;
        let mut expirations = [0u8; 8];
        // Reading clears the timer; an early wake finds nothing and the caller looks at the clock.
        if let Err(error) = rustix::io::read(self.timer.get_ref(), &mut expirations)
            && error != rustix::io::Errno::AGAIN
        {
            return Err(error.into());
        }
        ready.clear_ready();
        Ok(())
    }
}
