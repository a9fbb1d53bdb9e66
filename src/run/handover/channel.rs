//! Words with descriptors, over a socket that keeps each word whole.

use super::Word;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Descriptors beside one word; the kernel passes at most 253.
pub(super) const MOST: usize = 128;
const LARGEST: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

impl Channel {
    /// Two ends; the second is for another process.
    pub(super) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self(ours), theirs))
    }

    pub(super) fn of(socket: OwnedFd) -> Self {
        Self(socket)
    }

    pub(super) fn say(&self, word: &Word) -> io::Result<()> {
        self.say_with(word, &[])
    }

    pub(super) fn say_with(&self, word: &Word, beside: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = serde_json::to_vec(word)?;
        let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !beside.is_empty() && !control.push(SendAncillaryMessage::ScmRights(beside)) {
            return Err(io::Error::other("too many descriptors beside one word"));
        }
        sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// The next word and what came with it; `None` when the other end is gone.
    pub(super) fn hear(&self, within: Duration) -> io::Result<Option<(Word, Vec<OwnedFd>)>> {
        set_socket_timeout(self.0.as_fd(), Timeout::Recv, Some(within))?;
        let mut bytes = vec![0; LARGEST];
        let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let parts = &mut [IoSliceMut::new(&mut bytes)];
        let heard = recvmsg(&self.0, parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        let mut beside = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                beside.extend(descriptors);
            }
        }
        if heard.bytes == 0 {
            return Ok(None);
        }
        let word = serde_json::from_slice(&bytes[..heard.bytes])?;
        Ok(Some((word, beside)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_listening_socket_goes_through_and_goes_on() {
        let (ours, theirs) = Channel::pair().expect("a pair");
        let theirs = Channel::of(theirs);
        let socket = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let address = socket.local_addr().expect("an address");
        // Waits in the queue while the socket changes hands.
        let mut client = TcpStream::connect(address).expect("a connection");
        client.write_all(b"hello").expect("to write");
        let word = Word::Listener { name: "http".to_owned(), address };
        ours.say_with(&word, &[socket.as_fd()]).expect("to say");
        drop((socket, ours));
        let heard = theirs.hear(Duration::from_secs(10)).expect("to hear").expect("a word");
        let (Word::Listener { name, .. }, mut beside) = heard else { panic!("another word") };
        let socket = TcpListener::from(beside.remove(0));
        let (mut accepted, _) = socket.accept().expect("what waited");
        let mut bytes = [0; 5];
        accepted.read_exact(&mut bytes).expect("to read");
        assert_eq!((name.as_str(), &bytes), ("http", b"hello"));
        assert!(theirs.hear(Duration::from_secs(10)).expect("to hear").is_none());
    }
}
