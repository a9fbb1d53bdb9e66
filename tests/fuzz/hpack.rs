//! A block of fields of HTTP/2: it is as long as it was after it was looked at, nothing malformed is left in
//! it, and what was sound is as it was.

use serin_proxy::wire::hpack::{Block, Table};

#[test]
fn hpack() {
    let words = [
        "\x00\x08location\x04/a\rb",
        "\x0f\x1f\x04/a\rb",
        "\x40\x07X-Upper\x01a",
        "\x10\x03x y\x01a",
        "\x40\x08:unknown\x01a",
        "\x08\x03302",
        "\x48\x0599999",
        "\x02\x00",
        "\x00\x07:method\x04GE T",
        "\x04\x01/",
        "\x3f\u{1}",
        "\x20",
        "\x7f\x00",
        "\x00",
        "\r",
        "\n",
        "é",
    ];
    super::fuzz("hpack", &words, |input| {
        let mut block = input.to_vec();
        let looked = Table::default().look(&mut block);
        assert_eq!(block.len(), input.len());
        if looked == Block::Sound {
            assert_eq!(block, input);
        }
        if looked == Block::Malformed {
            // To whom nothing is known of its table.
            let mut again = block.clone();
            assert_eq!(Table::default().look(&mut again), Block::Sound, "{block:x?}");
            assert_eq!(again, block);
        }
    });
}
