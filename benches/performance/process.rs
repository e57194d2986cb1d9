//! A server as a child process, so that its CPU time and its memory are its own and not the load's.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// What can be measured.
#[derive(Clone, Debug)]
pub(crate) enum Program {
    /// agent-debugger, with flags of its own.
    Debugger(PathBuf, Vec<String>),
    /// This program again, as one of the servers that ours is compared with.
    Beside(Beside),
}

/// The servers that ours is compared with: the same libraries, the same profile, nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Beside {
    /// Bare tonic: decode, check, answer.
    Tonic,
    /// Bare axum: the same.
    Axum,
    /// Bare sockets: what writing the bytes costs.
    Sockets,
}

/// The limits that a benchmark needs, beside those of its own.
const FLAGS: [[&str; 2]; 5] = [
    ["--listen", "127.0.0.1:0"],
    ["--max-agents", "20000"],
    ["--max-connections", "4096"],
    ["--max-subscribers-per-agent", "2048"],
    ["--max-bytes", "8GiB"],
];

/// A running server. It is stopped when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    pub(crate) fn start(program: &Program) -> Self {
        Self::spawn(command(program))
    }

    /// Under callgrind, with one worker thread: `counts` is the file that it writes when it ends.
    pub(crate) fn start_counted(program: &Program, counts: &Path) -> Self {
        let bare = command(program);
        let mut command = Command::new("valgrind");
        command.args(["--quiet", "--tool=callgrind", "--separate-threads=no", "--log-file=/dev/null"]);
        command.arg(format!("--callgrind-out-file={}", counts.display()));
        command.arg(bare.get_program()).args(bare.get_args()).env("TOKIO_WORKER_THREADS", "1");
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        command.env_remove("RUST_LOG").stdout(Stdio::piped()).stderr(Stdio::null());
        // What a debugger writes to its log is no part of what is measured.
        command.env("RUST_LOG", "off");
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit("://").next().and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("{command:?} says {line:?}, and no address"));
        Self { child, address }
    }

    fn proc(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.child.id()))
    }

    /// The CPU time of all its threads so far.
    pub(crate) fn cpu(&self) -> Duration {
        let threads = fs::read_dir(self.proc("task")).unwrap();
        let nanos = threads.map(|thread| {
            // The first figure is the time on a CPU, in nanoseconds. A thread may just have ended.
            let said = fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap_or_default();
            said.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0)
        });
        Duration::from_nanos(nanos.sum())
    }

    /// Resident memory, in bytes.
    pub(crate) fn rss(&self) -> u64 {
        let status = fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Open file descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(self.proc("fd")).unwrap().count()
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM).unwrap();
            self.child.wait().unwrap();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

fn command(program: &Program) -> Command {
    match program {
        Program::Debugger(path, flags) => {
            let mut command = Command::new(path);
            let own = |flag: &[&str; 2]| flags.iter().any(|own| own == flag[0]);
            command.args(FLAGS.iter().filter(|flag| !own(flag)).flatten()).args(flags);
            command
        }
        Program::Beside(beside) => {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.arg("serve").arg(format!("{beside:?}").to_lowercase());
            command
        }
    }
}

/// How long a server takes from its start to its first answer.
pub(crate) fn time_to_answer(program: &Program) -> Duration {
    let began = Instant::now();
    let process = Process::start(program);
    let mut stream = TcpStream::connect(process.address).unwrap();
    std::io::Write::write_all(&mut stream, b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    std::io::Read::read_exact(&mut stream, &mut answer).unwrap();
    let took = began.elapsed();
    assert_eq!(&answer, b"HTTP/1.1 200");
    took
}
