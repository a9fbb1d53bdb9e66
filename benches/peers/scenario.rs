//! What is measured: which configuration, which load.

use crate::machine::Place;
use crate::messages;
use std::path::Path;
use std::process::Command;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    Small,
    Split,
    Unpinned,
    Mirror,
    Post,
    Large,
    Tls,
    Http2,
    Fresh,
    Handshake,
    Routes,
    Idle,
    Fixed,
    MirrorFixed,
    HttpsBackend,
    Upload,
    WebSocket,
    Grpc,
    GrpcStream,
}

/// What makes the load.
pub(crate) enum Load {
    /// wrk, or h2load where wrk cannot.
    Command(Command),
    /// 5,000 connections that say nothing.
    Idle,
}

impl Scenario {
    pub(crate) const ALL: [Self; 19] = [
        Self::Small,
        Self::Split,
        Self::Unpinned,
        Self::Mirror,
        Self::Post,
        Self::Large,
        Self::Tls,
        Self::Http2,
        Self::Fresh,
        Self::Handshake,
        Self::Routes,
        Self::Idle,
        Self::Fixed,
        Self::MirrorFixed,
        Self::HttpsBackend,
        Self::Upload,
        Self::WebSocket,
        Self::Grpc,
        Self::GrpcStream,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Split => "split",
            Self::Unpinned => "unpinned",
            Self::Mirror => "mirror",
            Self::Post => "post",
            Self::Large => "large",
            Self::Tls => "tls",
            Self::Http2 => "http2",
            Self::Fresh => "fresh",
            Self::Handshake => "handshake",
            Self::Routes => "routes",
            Self::Idle => "idle",
            Self::Fixed => "fixed",
            Self::MirrorFixed => "mirror-fixed",
            Self::HttpsBackend => "https-backend",
            Self::Upload => "upload",
            Self::WebSocket => "websocket",
            Self::Grpc => "grpc",
            Self::GrpcStream => "grpc-stream",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scenario| scenario.name() == name)
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Small => "HTTP/1.1, small GET, 64 connections",
            Self::Split => "the same, split 90/10",
            Self::Unpinned => "the same on two threads, nothing pinned",
            Self::Mirror => "the same, every request mirrored",
            Self::Post => "HTTP/1.1, POST of 16 KiB",
            Self::Large => "HTTP/1.1, GET of 1 MiB",
            Self::Tls => "TLS 1.3, HTTP/1.1, small GET",
            Self::Http2 => "TLS 1.3, HTTP/2 (32 connections, 16 streams) to HTTP/1.1",
            Self::Fresh => "a new connection per request",
            Self::Handshake => "a new TLS 1.3 handshake per request",
            Self::Routes => "10,000 routes, small GET on one of them",
            Self::Idle => "5,000 idle connections, after one request on each",
            Self::Fixed => "3,000 requests a second",
            Self::MirrorFixed => "3,000 requests a second, every one mirrored",
            Self::HttpsBackend => "HTTP/1.1, small GET, TLS 1.3 to the backend",
            Self::Upload => "HTTP/1.1, POST of 10 MiB (a request is 10.5 MB)",
            Self::WebSocket => "WebSocket, 64 connections, messages of 128 bytes there and back",
            Self::Grpc => {
                "gRPC, small unary calls: TLS 1.3, HTTP/2 (32 connections, 16 streams) to HTTP/2"
            }
            Self::GrpcStream => "gRPC, 128 streams both ways, messages of 128 bytes there and back",
        }
    }

    /// Whether copies are made, and counted where they arrive.
    pub(crate) fn mirrors(self) -> bool {
        self.config() == "mirror"
    }

    /// The configuration's name.
    pub(crate) fn config(self) -> &'static str {
        match self {
            Self::Small | Self::Post | Self::Large | Self::Fresh | Self::Idle | Self::Fixed => {
                "plain"
            }
            Self::Split | Self::Unpinned => "split",
            Self::Mirror | Self::MirrorFixed => "mirror",
            Self::Tls | Self::Http2 | Self::Handshake => "tls",
            Self::Routes => "routes",
            Self::HttpsBackend => "secure",
            Self::Upload => "upload",
            Self::WebSocket => "websocket",
            Self::Grpc | Self::GrpcStream => "grpc",
        }
    }

    /// What only the bench itself sends back, as [`crate::messages`] calls it.
    pub(crate) fn messages(self) -> Option<&'static str> {
        match self {
            Self::WebSocket => Some("websocket"),
            Self::Upload => Some("upload"),
            Self::GrpcStream => Some("grpc-stream"),
            Self::Small
            | Self::Split
            | Self::Unpinned
            | Self::Mirror
            | Self::Post
            | Self::Large
            | Self::Tls
            | Self::Http2
            | Self::Fresh
            | Self::Handshake
            | Self::Routes
            | Self::Idle
            | Self::Fixed
            | Self::MirrorFixed
            | Self::HttpsBackend
            | Self::Grpc => None,
        }
    }

    pub(crate) fn place(self) -> Place {
        if self == Self::Unpinned { Place::Anywhere } else { Place::Pinned }
    }

    /// A tail is the work of a few requests of each round: it takes more rounds to be seen apart from
    /// what else the machine did.
    pub(crate) fn rounds(self, asked: usize) -> usize {
        if self == Self::Fixed { 5 * asked } else { asked }
    }

    pub(crate) fn load(self, port: u16, seconds: u64, folder: &Path) -> Load {
        let scheme = match self {
            Self::Tls | Self::Http2 | Self::Handshake | Self::Grpc => "https",
            Self::Small
            | Self::Split
            | Self::Unpinned
            | Self::Mirror
            | Self::Post
            | Self::Large
            | Self::Fresh
            | Self::Routes
            | Self::Idle
            | Self::Fixed
            | Self::MirrorFixed
            | Self::HttpsBackend
            | Self::Upload
            | Self::WebSocket
            | Self::GrpcStream => "http",
        };
        let path = match self {
            Self::Large => "/large",
            Self::Routes => "/service-7777/item",
            Self::Grpc => "/serin.Bench/Call",
            Self::Small
            | Self::Split
            | Self::Unpinned
            | Self::Mirror
            | Self::Post
            | Self::Tls
            | Self::Http2
            | Self::Fresh
            | Self::Handshake
            | Self::Idle
            | Self::Fixed
            | Self::MirrorFixed
            | Self::HttpsBackend
            | Self::Upload
            | Self::WebSocket
            | Self::GrpcStream => "/",
        };
        let url = format!("{scheme}://127.0.0.1:{port}{path}");
        let wrk = |connections: &str, more: &[&str]| {
            let mut command = self.place().command("1", "wrk");
            command.args(["-t", "1", "-c", connections, "--latency"]);
            command.arg(format!("-d{seconds}s")).args(more).arg(&url);
            Load::Command(command)
        };
        match self {
            Self::Idle => Load::Idle,
            Self::Small
            | Self::Split
            | Self::Unpinned
            | Self::Mirror
            | Self::Tls
            | Self::Routes
            | Self::HttpsBackend => wrk("64", &[]),
            Self::Large => wrk("16", &[]),
            Self::Fresh | Self::Handshake => wrk("64", &["-H", "Connection: close"]),
            Self::Post => wrk("64", &["-s", &post(folder, 16 << 10)]),
            Self::Upload => wrk("8", &["-s", &post(folder, 10 << 20)]),
            Self::WebSocket => {
                Load::Command(messages::load("websocket", self, port, seconds, folder))
            }
            Self::GrpcStream => {
                Load::Command(messages::load("grpc-stream", self, port, seconds, folder))
            }
            Self::Grpc => {
                let message = folder.join("message");
                // As of the scripts: what cannot be written is missed by who is to read it.
                let _ = std::fs::write(&message, [&[0, 0, 0, 0, 128][..], &[b'x'; 128]].concat());
                let mut command = self.place().command("1", "h2load");
                command.args(["-c", "32", "-m", "16", "-t", "1", "--warm-up-time=0", "-d"]);
                command.arg(message).args(["-H", "content-type: application/grpc"]);
                command.args(["-H", "te: trailers", "-D"]).arg(seconds.to_string()).arg(&url);
                Load::Command(command)
            }
            Self::Http2 => {
                let mut command = self.place().command("1", "h2load");
                command.args(["-c", "32", "-m", "16", "-t", "1", "--warm-up-time=0"]);
                command.arg("-D").arg(seconds.to_string()).arg(&url);
                Load::Command(command)
            }
            Self::Fixed | Self::MirrorFixed => {
                let beside =
                    Path::new(env!("CARGO_BIN_EXE_serin")).with_file_name("serin-loadtest");
                let mut command = self.place().command("1", &beside.to_string_lossy());
                command.args(["run", &url, "--rate", "3000", "--version-by", "none", "-o", "json"]);
                command.arg("--duration").arg(seconds.to_string());
                Load::Command(command)
            }
        }
    }
}

/// A script for wrk, which complains if it is not there.
fn post(folder: &Path, bytes: usize) -> String {
    let script = folder.join(format!("post-{bytes}.lua"));
    let text = format!("wrk.method = 'POST'\nwrk.body = string.rep('x', {bytes})\n");
    let _ = std::fs::write(&script, text);
    script.to_string_lossy().into_owned()
}
