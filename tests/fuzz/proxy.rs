//! The PROXY header: who a connection came from, and not a byte of what follows.

use serin_proxy::wire::proxy_header::{Ends, MAX, ProxyVerdict, missing, parse};

#[test]
fn proxy() {
    let words = [
        "PROXY ",
        "TCP4",
        "TCP6",
        "UNKNOWN",
        "\r\n",
        "\n",
        " ",
        "  ",
        "0.0.0.0",
        "::ffff:1.2.3.4",
        "65536",
        "+1",
        "01",
        "\r\n\r\n\0\r\nQUIT\n",
        "\u{11}",
        "!",
    ];
    super::fuzz("proxy", &words, |input| {
        let verdict = parse(input);
        read_as_told(&verdict, input);
        let ProxyVerdict::Whole { length, ends } = verdict else { return };
        assert!((1..=input.len().min(MAX)).contains(&length));
        assert_eq!(parse(&input[..length]), verdict, "what follows it matters");
        for end in 0..length {
            assert_eq!(parse(&input[..end]), ProxyVerdict::Partial, "{end} of {length}");
        }
        let Some(ends) = ends else { return };
        let again = line(ends);
        let whole = ProxyVerdict::Whole { length: again.len(), ends: Some(ends) };
        assert_eq!(parse(again.as_bytes()), whole, "{again:?}");
    });
}

/// Read in the portions that are asked for it is the same header, and nothing past it was read.
fn read_as_told(verdict: &ProxyVerdict, input: &[u8]) {
    let mut read = 0;
    let told = loop {
        let told = parse(&input[..read]);
        if told != ProxyVerdict::Partial || read >= MAX || read == input.len() {
            break told;
        }
        let more = missing(&input[..read]);
        assert!(more > 0, "it waits for nothing after {read}");
        read = (read + more).min(input.len());
    };
    if let ProxyVerdict::Whole { length, .. } = told {
        assert_eq!(read, length, "it read into what follows");
    }
    if *verdict != ProxyVerdict::Partial {
        assert_eq!(told, *verdict);
    }
}

fn line(Ends { client, server }: Ends) -> String {
    let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (client.port(), server.port());
    format!("PROXY {family} {} {} {from} {to}\r\n", client.ip(), server.ip())
}
