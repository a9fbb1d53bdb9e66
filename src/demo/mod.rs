//! The demo: a shop, its versions, traffic, and two rollouts with their reasons.
//!
//! Everything is real: the proxy, the controller and its journal, the backends and the clients;
//! only the shop's faults are made. `stage` builds it up and takes it down, `story` is what
//! happens, `screen` is what one sees.

mod screen;
mod stage;
mod story;

use screen::Screen;
use stage::Stage;
use std::net::SocketAddr;
use std::path::PathBuf;

pub(crate) struct Options {
    /// A status line that is drawn again and again.
    pub(crate) live: bool,
    pub(crate) http: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) write: PathBuf,
    pub(crate) stay: bool,
}

pub(crate) fn play(options: &Options) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    let mut screen = Screen::new(options.live);
    let stage = Stage::build(options)?;
    let told = runtime.block_on(async {
        tokio::select! {
            told = story::tell(&stage, &mut screen, options) => told.map(|()| true),
            _ = tokio::signal::ctrl_c() => Ok(false),
        }
    });
    screen.end();
    let result = match told {
        Ok(true) => stage.keep_configuration(&options.write).map(|()| {
            story::farewell(&mut screen, options, &stage);
        }),
        Ok(false) => {
            screen.say("Stopped; nothing is left behind.");
            Ok(())
        }
        Err(trouble) => Err(trouble),
    };
    stage.strike(&runtime);
    result
}
