//! Listeners and the admin listener.

use super::quantity::{duration, path, size};
use crate::model::{
    Admin, AdminAddress, ClientAuth, Listener, ProxyProtocol, Role, TlsVersion, Underscores,
};
use serde_json::{Value, json};

pub(super) fn listener(l: &Listener) -> Value {
    let limits = &l.limits;
    json!({
        "name": l.name,
        "address": l.address.to_string(),
        "protocol": if l.tls.is_some() { "HTTPS" } else { "HTTP" },
        "tls": l.tls.as_ref().map(|tls| json!({
            "certificates": tls.certificates.iter().map(|c| json!({
                "certFile": path(&c.cert_file), "keyFile": path(&c.key_file),
            })).collect::<Vec<_>>(),
            "minVersion": match tls.min_version {
                TlsVersion::V1_2 => "1.2",
                TlsVersion::V1_3 => "1.3",
            },
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
        "proxyProtocol": match l.proxy_protocol {
            ProxyProtocol::Off => "off",
            ProxyProtocol::V1V2 => "v1v2",
        },
        "trusted": l.trusted.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "underscores": match l.underscores {
            Underscores::Drop => "drop",
            Underscores::Forward => "forward",
        },
        "limits": {
            "maxConnections": limits.max_connections,
            "headerTimeout": duration(limits.header_timeout),
            "idleTimeout": duration(limits.idle_timeout),
            "maxHeaderBytes": size(limits.max_header_bytes),
            "maxHeaders": limits.max_headers,
            "maxUriBytes": size(limits.max_uri_bytes),
            "minBodyRate": size(limits.min_body_rate),
            "maxStreams": limits.max_streams,
        },
    })
}

pub(super) fn admin(admin: &Admin) -> Value {
    let tokens = admin.tokens.iter().map(|token| {
        let role = match token.role {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
        };
        json!({ "role": role, "name": token.name, "tokenFile": path(&token.secret.file) })
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
