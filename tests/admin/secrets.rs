//! A secret that is planted wherever one can be is never seen again.

use crate::test_server::{TestServer, token};
use serin_config::model::{Notification, NotifyOn, NotifyTo, Role, Secret, SessionBy};
use std::time::Duration;

const PLANTED: &str = "s3cr3t-d0-n0t-sh0w";

async fn planted() -> TestServer {
    TestServer::with(|config| {
        config.admin.tokens = vec![token(&(Role::Operator, PLANTED))];
        let secret = || Secret::new("/run/secrets/planted".into(), PLANTED.to_owned());
        let notify = |name: &str, to| Notification {
            name: name.to_owned(),
            to,
            on: vec![NotifyOn::RolledBack],
            severity: Vec::new(),
        };
        config.notifications = vec![
            notify("slack", NotifyTo::Slack { webhook_url: secret() }),
            notify(
                "pager",
                NotifyTo::PagerDuty {
                    routing_key: secret(),
                    url: format!("http://me:{PLANTED}@127.0.0.1:9/"),
                },
            ),
            notify(
                "hook",
                NotifyTo::Webhook {
                    url: format!("http://127.0.0.1:9/?key={PLANTED}"),
                    headers: vec![("x-anything".to_owned(), PLANTED.to_owned())],
                },
            ),
        ];
        for service in config.services.values_mut() {
            service.session = SessionBy::Cookie {
                name: "sticky".to_owned(),
                ttl: Duration::from_secs(60),
                keys: vec![secret()],
            };
        }
    })
    .await
}

#[tokio::test]
async fn no_answer_shows_a_secret() {
    let bench = planted().await;
    let bearer = format!("Bearer {PLANTED}");
    let operator = [("authorization", bearer.as_str())];
    let document = bench.get("/openapi.json").await.json();
    let mut seen = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.replace("{service}", "checkout").replace("{id}", "checkout-1");
        for method in item.as_object().unwrap().keys().filter(|_| path != "/v1/events") {
            for headers in [&operator[..], &[]] {
                let answer = bench.ask(&method.to_uppercase(), &path, headers, "").await;
                assert!(!answer.text().contains(PLANTED), "{method} {path}: {}", answer.text());
                assert!(!format!("{:?}", answer.headers).contains(PLANTED), "{method} {path}");
                seen += 1;
            }
        }
    }
    assert!(seen > 40, "{seen}");
    let shown = bench.ask("GET", "/v1/config", &operator, "").await.json();
    assert_eq!(
        shown["config"]["notifications"][0]["slack"]["webhookUrlFile"],
        "/run/secrets/planted"
    );
}

#[tokio::test]
async fn a_wrong_token_is_not_echoed() {
    let bench = planted().await;
    let wrong = [("authorization", "Bearer almost-s3cr3t")];
    let answer = bench.ask("GET", "/v1/services", &wrong, "").await;
    assert!(!answer.text().contains("almost-s3cr3t"));
}
