//! A session's cookie: what we have not signed says nothing.

use serin_core::ids::{Epoch, ServiceName, VersionName};
use serin_proxy::session::{Codec, Mark};

#[test]
fn cookie() {
    let service = ServiceName::new("checkout").expect("a name");
    let version = VersionName::new("v42").expect("a name");
    let codec = Codec::new(b"a key that only this test knows", &service);
    let mark = Mark { epoch: Epoch(17), key: 0x5e81, issued: 1_800_000_000, release: 9 };
    let genuine = codec.write(&mark, &version);
    assert_eq!(codec.read(genuine.as_bytes(), &[]).map(|(mark, _)| mark), Some(mark));
    super::fuzz("cookie", &[&genuine, "=", "-_", "AAAA"], |input| {
        let read = codec.read(input, &[]);
        assert_eq!(read.is_some(), input == genuine.as_bytes());
    });
    // One that a former release wrote.
    let former = b"AREAAAAAAAAAgV4AAAAAAAAA0klrCQAAAAAAAAB2NDJ2DINkRBL-bcI3w6PNFSeP";
    assert_eq!(codec.read(former, &[]).map(|(mark, _)| mark), Some(mark));
    // Every single character counts.
    for at in 0..genuine.len() {
        let mut forged = genuine.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        assert!(codec.read(&forged, &[]).is_none(), "character {at}");
        assert!(codec.read(&genuine.as_bytes()[..at], &[]).is_none(), "cut at {at}");
    }
}
