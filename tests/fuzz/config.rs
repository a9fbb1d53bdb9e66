//! A configuration file: refused with faults that can be shown, or understood; the same each time.

use serin_config::{Style, from_str, render_all};

#[test]
fn config() {
    let words = [
        "${A}",
        "${A:-b}",
        "&a ",
        "*a",
        "<<: ",
        "? ",
        "- ",
        "!!str ",
        "|\n",
        ">-\n",
        "{",
        "}",
        "[",
        "]",
        "\t",
        "\r\n",
        "---\n",
        "\u{feff}",
        "0x",
        "1e9",
        "-1%",
        "100.001%",
        "15m",
        "10MiB",
        "~",
        "services:",
        "routes:",
        "rollout:",
        "steps:",
        "weight:",
        "hold:",
        "guards:",
        "'",
        "\"",
    ];
    super::fuzz("config", &words, |input| {
        let text = String::from_utf8_lossy(input);
        let (one, two) = (from_str("fuzz.yaml", &text), from_str("fuzz.yaml", &text));
        assert_eq!(one, two);
        if let Err(refused) = one {
            assert!(!refused.faults.is_empty(), "refused without a fault");
            let shown = render_all(&refused.faults, Style::Plain);
            assert!(!shown.is_empty());
            let lines = text.lines().count().max(1) + 1;
            for fault in &refused.faults {
                assert!(fault.line <= lines, "line {} of {lines}: {fault:?}", fault.line);
            }
        }
    });
}
