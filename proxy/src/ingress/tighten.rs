//! Whether a listener's new rules would have kept out, or trusted less, somebody whom the old ones let
//! in. Connections that were let in by such rules do not outlive them; any other change of a listener
//! is no concern of theirs.

use super::listener::ListenerState;
use serin_config::model::{ClientAuth, Listener, Tls, TlsVersion, Underscores};

pub(super) fn tightens(
    (old, before): (&Listener, &ListenerState),
    (new, after): (&Listener, &ListenerState),
) -> bool {
    // Connections of before were made without what the PROXY protocol says, or with it.
    old.proxy_protocol != new.proxy_protocol
        || (old.underscores, new.underscores) == (Underscores::Forward, Underscores::Drop)
        || !old.trusted.iter().all(|net| new.trusted.iter().any(|wider| wider.contains(net)))
        || match (&old.tls, &new.tls) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(old), Some(new)) => {
                let authorities =
                    |state: &ListenerState| state.tls.as_ref().map(|tls| tls.authorities());
                asks_more(old, new)
                    || new.client_auth != ClientAuth::Off
                        && authorities(before) != authorities(after)
            }
        }
}

fn asks_more(old: &Tls, new: &Tls) -> bool {
    let version = match (old.min_version, new.min_version) {
        (TlsVersion::V1_2, TlsVersion::V1_3) => true,
        (TlsVersion::V1_2 | TlsVersion::V1_3, _) => false,
    };
    version
        || match (&old.client_auth, &new.client_auth) {
            (_, ClientAuth::Off) => false,
            (ClientAuth::Off, ClientAuth::Optional { .. } | ClientAuth::Required { .. })
            | (ClientAuth::Optional { .. }, ClientAuth::Required { .. }) => true,
            (ClientAuth::Optional { .. } | ClientAuth::Required { .. }, _) => false,
        }
}
