//! A list of endpoints, as another program wrote it, whole or by half.

use serin_config::endpoint_list::{ENDPOINTS_MAX, parse};
use std::collections::HashSet;

#[test]
fn endpoints() {
    let words = [
        "- ",
        "10.0.0.1:80",
        "https://",
        "[::1]:1",
        "{ address: ",
        "weight: ",
        "priority: ",
        "\n",
        "[",
        "]",
    ];
    super::fuzz("endpoints", &words, |input| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        match parse("list", text) {
            Ok(listed) => {
                assert!((1..=ENDPOINTS_MAX).contains(&listed.len()));
                let different: HashSet<String> =
                    listed.iter().map(|one| one.endpoint.to_string()).collect();
                assert_eq!(different.len(), listed.len());
                let weighs = |weight: u32| (1..=1_000).contains(&weight);
                assert!(listed.iter().all(|one| weighs(one.weight) && one.endpoint.port > 0));
            }
            Err(fault) => assert!(!fault.to_string().is_empty()),
        }
    });
}
