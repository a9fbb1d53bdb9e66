//! `serin quickstart`: a first configuration for two addresses, and the commands that come next.
//!
//! What it writes is checked before it is written, by the same code as `serin check`. A file that is
//! there is never touched.

use super::Exit;
use super::output::{self, Format};
use serde::Serialize;
use serin_config::{Loaded, render_all};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Write a first configuration for two versions of an application, and say how to run it
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the present version answers: `http://10.0.0.1:8080`, `https://name` or `name:8080`
    #[arg(long, value_name = "URL")]
    stable: String,
    /// Where the next version answers
    #[arg(long, value_name = "URL")]
    canary: String,
    /// What the application is called
    #[arg(long, default_value = "app", value_name = "NAME")]
    service: String,
    /// Where Serin serves it
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Where the admin API and the page are; on this machine only
    #[arg(long, default_value = "127.0.0.1:9901", value_name = "ADDRESS")]
    admin: SocketAddr,
    /// The file to write; one that is there is left alone, and `-` is standard output
    #[arg(long, default_value = "serin.yaml", value_name = "FILE")]
    write: PathBuf,
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
}

#[derive(Debug, Serialize)]
struct Answer {
    written: String,
    next: Vec<Next>,
}

/// A command, and what it is for.
#[derive(Debug, Serialize)]
struct Next {
    command: String,
    does: &'static str,
}

pub(crate) fn run(args: &Args) -> Exit {
    let shown = args.write.display().to_string();
    let text = configuration(args);
    let loaded = match serin_config::from_str(&shown, &text) {
        Ok(loaded) => loaded,
        Err(refused) => {
            output::note(&refused.render(output::style_of(&std::io::stderr())));
            output::note("nothing was written: correct the option that the fault points at");
            return Exit::InvalidConfiguration;
        }
    };
    warn(args, &loaded);
    if args.write == Path::new("-") {
        output::line(text.trim_end());
        return Exit::Done;
    }
    if let Err(error) = create(&args.write, &text) {
        output::note(&format!("error: {shown}: {}", refusal(&error)));
        return Exit::Error;
    }
    let answer = Answer { next: next(args, &shown), written: shown };
    match args.output {
        Format::Json => output::json(&answer),
        Format::Text => tell(&answer, &loaded),
    }
    Exit::Done
}

fn warn(args: &Args, loaded: &Loaded) {
    if !loaded.warnings.is_empty() {
        output::note(&render_all(&loaded.warnings, output::style_of(&std::io::stderr())));
    }
    if args.stable == args.canary {
        output::note("warning: both versions are one address, so they will never differ\n");
    }
}

/// Never over a file that is there, and never through a link that leads elsewhere.
fn create(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::File::create_new(path)?.write_all(text.as_bytes())
}

fn refusal(error: &std::io::Error) -> String {
    match error.kind() == std::io::ErrorKind::AlreadyExists {
        true => "it is there already and is left as it is; name another with --write".to_owned(),
        false => error.to_string(),
    }
}

fn next(args: &Args, path: &str) -> Vec<Next> {
    let Args { listen, service, admin, .. } = args;
    let path = quoted(path);
    // Verbs look there by themselves.
    let asks = match admin.to_string().as_str() {
        "127.0.0.1:9901" => String::new(),
        other => format!(" --admin {other}"),
    };
    let one = |command: String, does| Next { command, does };
    vec![
        one(format!("serin run --config {path}"), "serve; Ctrl-C ends it"),
        one(format!("curl http://{listen}/"), "answered by v1"),
        one(format!("serin rollout start {service}{asks}"), "v2 comes in, step by step"),
        one(format!("serin status --watch{asks}"), "watch it"),
        one(format!("serin why {service}{asks}"), "the numbers behind the last verdict"),
        one(format!("serin rollout abort {service}{asks}"), "back to v1 at once"),
    ]
}

/// As a shell reads it.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@".contains(c);
    if path.chars().all(plain) {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

fn tell(answer: &Answer, loaded: &Loaded) {
    output::line(&format!("wrote {}: {}\n", answer.written, loaded.config.summary()));
    let widest = answer.next.iter().map(|next| next.command.len()).max().unwrap_or(0);
    // A long command stands alone; what it does follows on a line of its own.
    for Next { command, does } in &answer.next {
        match widest + does.len() + 4 <= output::width() {
            true => output::line(&format!("  {command:<widest$}  {does}")),
            false => output::line(&format!("  {command}\n      {does}")),
        }
    }
    output::line("\nThe file says what each part does; serin check says what is wrong with it.");
}

fn configuration(args: &Args) -> String {
    let Args { listen, admin, service, .. } = args;
    // YAML reads JSON's strings, so nothing in an option can be more than a value.
    let text = |value: &str| serde_json::Value::from(value).to_string();
    let (stable, canary, key) = (text(&args.stable), text(&args.canary), text(service));
    format!(
        "\
# Serin in front of two versions of one application. `serin check` says what is wrong with this
# file, and docs/configuration.md what else can stand in it.
version: 1

listeners:
  # 0.0.0.0 serves other machines, too. Limits and timeouts of an edge are on by default.
  - {{ name: http, address: \"{listen}\", protocol: HTTP }}

# On this machine only. Elsewhere it needs `tokens`.
admin: {{ address: \"{admin}\" }}

# What survives a restart. Relative to this file.
state: {{ dir: serin-state }}

services:
  {key}:
    stable: v1
    versions:
      # A version can have several endpoints, and a `release` that names the build.
      v1: {{ endpoints: [{stable}] }}
      v2: {{ endpoints: [{canary}] }}
    # A user who has met a version stays with it. Signed; the key is kept in the state.
    session: {{ by: cookie, name: serin_session, ttl: 1h }}
    # If the application has a page that says whether it is ready:
    # healthCheck: {{ path: /readyz, interval: 2s, timeout: 1s }}
    slo:
      availability: {{ objective: 99.9%, bad: [\"5xx\"] }}
      # latency: {{ objective: 95%, under: 500ms }}
    rollout:
      to: v2
      # A step ends when its hold is over *and* v2 has proved to be no worse than v1. With little
      # traffic it holds; it never goes on for lack of evidence.
      steps:
        - {{ weight: 10%, hold: 5m }}
        - {{ weight: 50%, hold: 10m }}
        - {{ weight: 100%, hold: 30m }}
      # Besides the comparison with v1, which is always on.
      guards:
        - {{ name: errors, errorRate: \"> 1%\", over: 30s, action: rollback }}
      # Whatever the statistics say, v2 never fails more requests than this beyond what v1 fails.
      harm: {{ failedRequests: 200 }}
      # A failed GET of v2 is answered by v1, and still counted against v2.
      rescue: true

routes:
  - {{ name: everything, matches: [ {{ path: {{ prefix: / }} }} ], service: {key} }}

accessLog: {{ format: json, to: stdout }}
"
    )
}
