//! Just enough of an HTTP/1.1 client: ready-made requests, answers that are counted and not read.

use memchr::memmem;

/// A request, ready to be written.
pub(crate) fn request(method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nuser-agent: bench\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Cuts a stream of bytes into answers that have a `content-length`.
#[derive(Default)]
pub(crate) struct Answers {
    unread: Vec<u8>,
}

impl Answers {
    /// Takes what was read and says how many answers ended in it.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> usize {
        self.unread.extend_from_slice(bytes);
        let (mut ended, mut at) = (0, 0);
        while let Some(length) = answer(&self.unread[at..]) {
            at += length;
            ended += 1;
        }
        self.unread.drain(..at);
        ended
    }
}

/// The length of the answer that the bytes begin with, where all of it is there.
fn answer(bytes: &[u8]) -> Option<usize> {
    let head = memmem::find(bytes, b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{}", String::from_utf8_lossy(bytes));
    let length = text.split("\r\n").find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let whole = head + length.parse::<usize>().unwrap();
    (bytes.len() >= whole).then_some(whole)
}
