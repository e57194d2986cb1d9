//! Just enough of an HTTP/2 client for gRPC: a full client costs more than the server that is measured with it.
//!
//! Frames are RFC 9113's, headers RFC 7541's. Requests name their headers by the dynamic table after the first one,
//! as real clients do. Windows are as large as they may be and never refilled: one connection takes 2 GiB.

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const LARGEST_WINDOW: u32 = i32::MAX as u32;
const FIRST_WINDOW: u32 = 65_535;
const LARGEST_FRAME: usize = 16_384;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// What a connection begins with.
pub(crate) fn greeting() -> Vec<u8> {
    let mut bytes = PREFACE.to_vec();
    let initial_window = [&4_u16.to_be_bytes()[..], &LARGEST_WINDOW.to_be_bytes()].concat();
    frame(&mut bytes, SETTINGS, 0, 0, &initial_window);
    frame(&mut bytes, WINDOW_UPDATE, 0, 0, &(LARGEST_WINDOW - FIRST_WINDOW).to_be_bytes());
    bytes
}

fn frame(into: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    into.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    into.extend_from_slice(&[kind, flags]);
    into.extend_from_slice(&stream.to_be_bytes());
    into.extend_from_slice(payload);
}

/// The calls of one connection.
pub(crate) struct Calls {
    headers: [(&'static str, String); 6],
    next_stream: u32,
}

impl Calls {
    /// Calls of one method.
    pub(crate) fn of(method: &str) -> Self {
        let own = |text: &str| text.to_owned();
        let headers = [
            (":path", format!("/agent_debugger.v1.DebuggerService/{method}")),
            (":authority", own("localhost")),
            ("content-type", own("application/grpc")),
            ("te", own("trailers")),
            ("user-agent", own("bench")),
            ("grpc-accept-encoding", own("identity")),
        ];
        Self { headers, next_stream: 1 }
    }

    /// Adds a call with this message.
    pub(crate) fn call(&mut self, into: &mut Vec<u8>, message: &[u8]) {
        // `:method: POST` and `:scheme: http` are in the static table.
        let mut block = vec![0x83, 0x86];
        for (index, (name, value)) in self.headers.iter().enumerate() {
            match self.next_stream {
                // Literal, and to be indexed: the last one so added is number 62.
                1 => {
                    block.extend_from_slice(&[0x40, name.len() as u8]);
                    block.extend_from_slice(name.as_bytes());
                    block.push(value.len() as u8);
                    block.extend_from_slice(value.as_bytes());
                }
                _ => block.push(0x80 | (62 + self.headers.len() - 1 - index) as u8),
            }
        }
        frame(into, HEADERS, END_HEADERS, self.next_stream, &block);
        let message = [&[0][..], &(message.len() as u32).to_be_bytes(), message].concat();
        let mut parts = message.chunks(LARGEST_FRAME).peekable();
        while let Some(part) = parts.next() {
            let flags = if parts.peek().is_none() { END_STREAM } else { 0 };
            frame(into, DATA, flags, self.next_stream, part);
        }
        self.next_stream += 2;
    }
}

/// What a server's bytes said.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// The streams that ended, in order.
    pub(crate) ended: Vec<u32>,
    /// What is to be written back: acknowledgements.
    pub(crate) reply: Vec<u8>,
}

/// Cuts a stream of bytes into frames.
#[derive(Default)]
pub(crate) struct Frames {
    head: [u8; 9],
    head_length: usize,
    left: usize,
    /// The payload of a frame that has to be looked at.
    control: Vec<u8>,
}

impl Frames {
    /// Takes what was read. Data goes to `data`; calls that failed are the end of the run.
    pub(crate) fn read(&mut self, mut bytes: &[u8], said: &mut Said, mut data: impl FnMut(&[u8])) {
        while !bytes.is_empty() || self.is_whole() {
            if self.head_length < self.head.len() {
                let taken = bytes.len().min(self.head.len() - self.head_length);
                self.head[self.head_length..][..taken].copy_from_slice(&bytes[..taken]);
                self.head_length += taken;
                bytes = &bytes[taken..];
                if self.head_length == self.head.len() {
                    self.left = u32::from_be_bytes([0, self.head[0], self.head[1], self.head[2]]) as usize;
                }
            } else {
                let (now, later) = bytes.split_at(bytes.len().min(self.left));
                match self.head[3] {
                    DATA => data(now),
                    _ => self.control.extend_from_slice(now),
                }
                self.left -= now.len();
                bytes = later;
            }
            if self.is_whole() {
                self.end(said);
            }
        }
    }

    fn is_whole(&self) -> bool {
        self.head_length == self.head.len() && self.left == 0
    }

    fn end(&mut self, said: &mut Said) {
        let (kind, flags) = (self.head[3], self.head[4]);
        let stream = u32::from_be_bytes([self.head[5], self.head[6], self.head[7], self.head[8]]);
        match kind {
            SETTINGS if flags & ACK == 0 => frame(&mut said.reply, SETTINGS, ACK, 0, &[]),
            PING if flags & ACK == 0 => frame(&mut said.reply, PING, ACK, 0, &self.control),
            RESET | GO_AWAY => panic!("the server ended it: {:?} {:?}", self.head, self.control),
            HEADERS if flags & END_STREAM != 0 => said.ended.push(stream),
            _ => {}
        }
        self.head_length = 0;
        self.control.clear();
    }
}

/// Counts the gRPC messages in the data of one stream.
#[derive(Default)]
pub(crate) struct Messages {
    head: [u8; 5],
    head_length: usize,
    left: usize,
}

impl Messages {
    /// Takes data and calls `first` with the first byte of each message.
    pub(crate) fn read(&mut self, mut bytes: &[u8], mut first: impl FnMut(u8)) {
        while !bytes.is_empty() {
            if self.head_length < self.head.len() {
                self.head[self.head_length] = bytes[0];
                self.head_length += 1;
                bytes = &bytes[1..];
                if self.head_length == self.head.len() {
                    self.left = u32::from_be_bytes([self.head[1], self.head[2], self.head[3], self.head[4]]) as usize;
                    assert!(self.left > 0, "no frame is empty");
                }
                continue;
            }
            if self.head_length == self.head.len() {
                first(bytes[0]);
                self.head_length += 1;
            }
            let taken = bytes.len().min(self.left);
            self.left -= taken;
            bytes = &bytes[taken..];
            if self.left == 0 {
                self.head_length = 0;
            }
        }
    }
}
