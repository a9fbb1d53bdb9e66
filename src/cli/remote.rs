//! How a verb reaches a running instance, and how it says what went wrong.

use super::Exit;
use super::output::{self, Format};
use crate::client::{Address, Client, Failure};
use std::path::PathBuf;

/// Where the service of the Debian package listens.
const PACKAGE_SOCKET: &str = "/run/serin/admin.sock";

/// Options of every verb that talks to a running instance.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Instance")]
pub(crate) struct Remote {
    /// Admin address: host:port, https://host:port or unix:/path. Without it 127.0.0.1:9901, and where
    /// nobody listens there the package's socket, unix:/run/serin/admin.sock
    #[arg(long, env = "SERIN_ADMIN", value_name = "ADDRESS")]
    admin: Option<Address>,
    /// File that holds the token; not needed for a loopback address without tokens
    #[arg(long, env = "SERIN_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Authorities to trust for https, in PEM; without it the system's, or those of SSL_CERT_FILE
    #[arg(long, env = "SERIN_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Text for people, JSON for programs
    #[arg(short, long, value_enum, default_value = "text")]
    pub(crate) output: Format,
}

impl Remote {
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let client = |at| Client::new(at, self.token_file.clone(), self.ca_file.clone());
        match self.admin.clone() {
            Some(address) => client(address),
            None => Ok(client(Address::usual())?.or_socket(PACKAGE_SOCKET)),
        }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.output == Format::Json
    }
}

/// What a verb comes to: an exit code, or a failure that is said on stderr.
pub(crate) fn finish(result: Result<Exit, Failure>) -> Exit {
    match result {
        Ok(exit) => exit,
        Err(failure) => {
            output::note(&format!("error: {failure}"));
            exit_of(&failure)
        }
    }
}

fn exit_of(failure: &Failure) -> Exit {
    match failure {
        Failure::Refused(problem) if problem.kind == "urn:serin:problem:invalid-config" => {
            Exit::InvalidConfiguration
        }
        Failure::Refused(_)
        | Failure::Unreachable { .. }
        | Failure::Token { .. }
        | Failure::Strange(_)
        | Failure::Unclear(_) => Exit::Error,
    }
}
