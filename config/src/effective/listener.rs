//! Listeners and the admin listener.

use super::quantity::path;
use crate::file::Word;
use crate::model::{Admin, AdminAddress, ClientAuth, Listener};
use serde_json::{Value, json};

pub(super) fn listener(l: &Listener) -> Value {
    json!({
        "name": l.name,
        "address": l.address.to_string(),
        "protocol": if l.tls.is_some() { "HTTPS" } else { "HTTP" },
        "tls": l.tls.as_ref().map(|tls| json!({
            "certificates": tls.certificates.iter().map(|c| json!({
                "certFile": path(&c.cert_file), "keyFile": path(&c.key_file),
            })).collect::<Vec<_>>(),
            "minVersion": tls.min_version.word(),
            "clientAuth": match &tls.client_auth {
                ClientAuth::Off => json!({ "mode": "off" }),
                ClientAuth::Optional { ca_file } => {
                    json!({ "mode": "optional", "caFile": path(ca_file) })
                }
                ClientAuth::Required { ca_file } => {
                    json!({ "mode": "required", "caFile": path(ca_file) })
                }
            },
        })),
        "proxyProtocol": l.proxy_protocol.word(),
        "trusted": l.trusted.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "underscores": l.underscores.word(),
        "limits": l.limits.effective(),
    })
}

pub(super) fn admin(admin: &Admin) -> Value {
    let tokens = admin.tokens.iter().map(|token| {
        json!({ "role": token.role.word(), "name": token.name, "tokenFile": path(&token.secret.file) })
    });
    json!({
        "address": match &admin.address {
            AdminAddress::Tcp(address) => address.to_string(),
            AdminAddress::Unix(socket) => format!("unix:{}", socket.display()),
        },
        "tokens": tokens.collect::<Vec<_>>(),
        "hosts": admin.hosts,
        "tls": admin.tls.as_ref().map(|tls| json!({
            "certFile": path(&tls.cert_file), "keyFile": path(&tls.key_file),
        })),
        "probes": admin.probes.map(|address| json!({ "address": address.to_string() })),
    })
}
