//! Logs and metrics. Names are constant, and no payload or token is ever among the values.

mod log;

use std::{
    io::{self, IsTerminal},
    panic,
    sync::{OnceLock, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::{Family, MetricConstructor},
        gauge::Gauge,
        histogram::Histogram,
    },
    registry::{Registry, Unit},
};
use tracing_subscriber::EnvFilter;

use crate::{config::LogFormat, event::Outcome, session::Role};

/// Seconds: a hold lasts as long as a person thinks.
const HOLD_BUCKETS: [f64; 10] = [0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0];
/// Seconds: an rpc that is not held takes a fraction of a millisecond.
const RPC_BUCKETS: [f64; 10] = [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.01, 0.05, 0.25, 1.0, 10.0];

/// How long the end of the process waits for the last lines of the log to be written.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// Starts logging to stderr, by way of a queue: no call waits for a reader of stderr, or fails for want of one.
/// `RUST_LOG` chooses what; without it, warnings and our own notes.
pub fn init_logs(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,agent_debugger=info"));
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(log::line).with_ansi(io::stderr().is_terminal());
    // A second start in one process keeps the first one's logs.
    let _ = match format {
        LogFormat::Text => logs.try_init(),
        LogFormat::Json => logs.json().try_init(),
    };
    // A panic ends one connection: what says so goes the same way.
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(tracing::field::display);
        let said = info.payload();
        let said = said.downcast_ref::<&str>().copied().or_else(|| said.downcast_ref::<String>().map(String::as_str));
        tracing::error!(place, said, "a task panicked");
    }));
}

/// Waits a moment for what was logged to be written.
pub fn flush_logs() {
    log::LINES.flush(FLUSH_LIMIT);
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ending {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RpcLabel {
    rpc: &'static str,
}

/// An rpc of the contract, never a name from the wire: the set is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rpc(usize);

const RPCS: [&str; 19] = [
    "Trace",
    "Step",
    "Continue",
    "Pause",
    "Release",
    "Clear",
    "Status",
    "Events",
    "ListEvents",
    "ListAgents",
    "CreateBreakpoint",
    "ListBreakpoints",
    "UpdateBreakpoint",
    "DeleteBreakpoint",
    "TestBreakpoint",
    "Fork",
    "Compare",
    "Export",
    "Import",
];

impl Rpc {
    /// The call that counts.
    pub(crate) const TRACE: Self = Self(0);

    /// The one that reads a file.
    pub(crate) const IMPORT: Self = Self(RPCS.len() - 1);

    /// The one with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        RPCS.iter().position(|rpc| *rpc == name).map(Self)
    }

    /// The one with this name in any case, as HTTP has it.
    pub(crate) fn named_like(name: &str) -> Option<Self> {
        RPCS.iter().position(|rpc| rpc.eq_ignore_ascii_case(name)).map(Self)
    }
}

#[derive(Clone)]
struct RpcHistogram;

impl MetricConstructor<Histogram> for RpcHistogram {
    fn new_metric(&self) -> Histogram {
        Histogram::new(RPC_BUCKETS)
    }
}

/// Everything that `/metrics` shows.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) traces: Counter,
    pub(crate) holds: Counter,
    pub(crate) holds_over_limit: Counter,
    pub(crate) dropped_events: Counter,
    pub(crate) agents_evicted: Counter,
    pub(crate) gaps: Counter,
    pub(crate) refused_connections: Counter,
    held: Gauge,
    debuggers: Gauge,
    observers: Gauge,
    agents: Gauge,
    retained_bytes: Gauge,
    tasks: Gauge,
    lag: Gauge<u64, AtomicU64>,
    hold_ends: Family<Ending, Counter>,
    hold_seconds: Histogram,
    rpc_seconds: Family<RpcLabel, Histogram, RpcHistogram>,
    /// The same, without a look-up; those that were never called are not shown.
    rpcs: [OnceLock<Histogram>; RPCS.len()],
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("agent_debugger"),
            traces: Counter::default(),
            holds: Counter::default(),
            holds_over_limit: Counter::default(),
            dropped_events: Counter::default(),
            agents_evicted: Counter::default(),
            gaps: Counter::default(),
            refused_connections: Counter::default(),
            held: Gauge::default(),
            debuggers: Gauge::default(),
            observers: Gauge::default(),
            agents: Gauge::default(),
            retained_bytes: Gauge::default(),
            tasks: Gauge::default(),
            lag: Gauge::default(),
            hold_ends: Family::default(),
            hold_seconds: Histogram::new(HOLD_BUCKETS),
            rpc_seconds: Family::new_with_constructor(RpcHistogram),
            rpcs: Default::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("traces", "Events recorded", self.traces.clone());
        registry.register("holds", "Traces that were held", self.holds.clone());
        registry.register(
            "holds_over_limit",
            "Traces that passed because no more can be held. If everything is working normally, this is 0",
            self.holds_over_limit.clone(),
        );
        registry.register("held", "Traces that wait now", self.held.clone());
        registry.register("hold_ends", "Holds that ended, by outcome", self.hold_ends.clone());
        registry.register_with_unit("hold", "How long holds lasted", Unit::Seconds, self.hold_seconds.clone());
        registry.register("debuggers", "Subscribers that hold their agent", self.debuggers.clone());
        registry.register("observers", "Subscribers that only watch", self.observers.clone());
        registry.register("subscriber_lag", "Log entries that the slowest subscriber is behind", self.lag.clone());
        registry.register("subscriber_gaps", "Gaps told to subscribers that fell behind", self.gaps.clone());
        registry.register("dropped_events", "Events trimmed to keep the limits", self.dropped_events.clone());
        registry.register("agents", "Agents held in memory", self.agents.clone());
        registry.register("agents_evicted", "Idle agents forgotten to make room", self.agents_evicted.clone());
        registry.register_with_unit(
            "retained",
            "Events retained, as the limits count",
            Unit::Bytes,
            self.retained_bytes.clone(),
        );
        registry.register(
            "tasks",
            "Tasks that run: connections, timers, and a few of the service's own",
            self.tasks.clone(),
        );
        registry.register(
            "dropped_log_lines",
            "Log lines dropped because stderr was not read. If everything is working normally, this is 0",
            log::DROPPED.clone(),
        );
        registry.register("refused_connections", "Connections over the limit", self.refused_connections.clone());
        registry.register_with_unit("rpc", "Time to answer, holds included", Unit::Seconds, self.rpc_seconds.clone());
    }

    pub(crate) fn hold_began(&self) {
        self.holds.inc();
        self.held.inc();
    }

    pub(crate) fn hold_ended(&self, outcome: Outcome, held_for: Duration) {
        let outcome = match outcome {
            Outcome::Stepped => "stepped",
            Outcome::Continued => "continued",
            Outcome::Released => "released",
            Outcome::Cleared => "cleared",
            Outcome::Detached => "detached",
            Outcome::TimedOut => "timed_out",
            Outcome::Shutdown => "shutdown",
            Outcome::Abandoned => "abandoned",
            Outcome::NotHeld | Outcome::StillHeld => "still_held",
        };
        self.held.dec();
        self.hold_ends.get_or_create(&Ending { outcome }).inc();
        self.hold_seconds.observe(held_for.as_secs_f64());
    }

    pub(crate) fn subscriber_came(&self, role: Role) {
        self.seats(role).inc();
    }

    pub(crate) fn subscriber_went(&self, role: Role) {
        self.seats(role).dec();
    }

    fn seats(&self, role: Role) -> &Gauge {
        match role {
            Role::Debugger => &self.debuggers,
            Role::Observer => &self.observers,
        }
    }

    pub(crate) fn rpc_took(&self, Rpc(index): Rpc, time: Duration) {
        let histogram = || self.rpc_seconds.get_or_create(&RpcLabel { rpc: RPCS[index] }).clone();
        self.rpcs[index].get_or_init(histogram).observe(time.as_secs_f64());
    }

    /// The text that Prometheus reads, with what is measured only when somebody asks.
    pub(crate) fn render(&self, agents: usize, retained_bytes: usize, lag: u64, tasks: usize) -> String {
        self.agents.set(i64::try_from(agents).unwrap_or(i64::MAX));
        self.retained_bytes.set(i64::try_from(retained_bytes).unwrap_or(i64::MAX));
        self.tasks.set(i64::try_from(tasks).unwrap_or(i64::MAX));
        self.lag.set(lag);
        let mut text = String::new();
        // Writing into a String does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::proto::{FILE_DESCRIPTOR_SET, server::debugger_service_server::SERVICE_NAME};

    #[test]
    fn every_rpc_of_the_contract_is_measured() {
        let files = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("descriptors").file;
        let services = files.iter().flat_map(|file| {
            file.service.iter().filter(|service| format!("{}.{}", file.package(), service.name()) == SERVICE_NAME)
        });
        let methods: Vec<_> = services.flat_map(|service| service.method.iter().map(|method| method.name())).collect();
        assert_eq!(methods, RPCS);
        assert_eq!(Rpc::named("Trace").zip(Rpc::named("Import")), Some((Rpc::TRACE, Rpc::IMPORT)));
    }
}
