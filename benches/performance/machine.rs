//! The machine: what it is, what was stolen from it, what it allows.

use std::{fs, process::Command};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// A run during which more than this part of the CPU was stolen says nothing.
pub(crate) const MAX_STEAL: f64 = 0.06;

/// The CPU's time so far, in ticks: all of it, and what the host gave to others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticks {
    all: u64,
    stolen: u64,
}

impl Ticks {
    pub(crate) fn now() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap();
        let ticks: Vec<u64> =
            stat.lines().next().unwrap().split_whitespace().skip(1).take(8).map(|tick| tick.parse().unwrap()).collect();
        Self { all: ticks.iter().sum(), stolen: ticks.get(7).copied().unwrap_or(0) }
    }

    /// The part of the CPU that was stolen since then.
    pub(crate) fn steal(self) -> f64 {
        let now = Self::now();
        (now.stolen - self.stolen) as f64 / (now.all - self.all).max(1) as f64
    }
}

/// Raises the limit of open files as far as it goes: a thousand subscribers are a thousand sockets, twice.
pub(crate) fn allow_many_files() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    assert!(most >= 4_096, "at least 4,096 open files are needed: see `ulimit -Hn`");
}

/// One line about the machine and the compiler.
pub(crate) fn description() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap();
    let named = |line: &str| line.strip_prefix("model name")?.split(": ").nth(1).map(str::to_owned);
    let model = cpus.lines().find_map(named).unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let kernel: Vec<_> = kernel.split(['.', '-']).take(2).collect();
    format!("{model}, {cores} cores, Linux {}, {}", kernel.join("."), rustc())
}

/// The compiler's version, as it says it.
pub(crate) fn rustc() -> String {
    said("rustc", &["--version"]).unwrap_or_else(|| "rustc unknown".into())
}

/// What a program says, where it is there.
pub(crate) fn said(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
