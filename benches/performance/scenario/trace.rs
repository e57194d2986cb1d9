//! Recording steps with nobody attached, beside servers that only check and answer.

use std::time::Duration;

use super::{Figures, Plan, agents};
use crate::{
    load::{self, Calls, Until, Width},
    payload::{self, Form},
    process::{Beside, Process, Program},
    stats::{micros, percentile},
};

/// One kind of Trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// Over gRPC in this form; over HTTP where there is none.
    pub(crate) form: Option<Form>,
    pub(crate) bytes: usize,
}

pub(crate) const KINDS: [Kind; 6] = [
    Kind { name: "gRPC, JSON text, 300 B", form: Some(Form::Json), bytes: 300 },
    Kind { name: "gRPC, JSON text, 4 KiB", form: Some(Form::Json), bytes: 4_096 },
    Kind { name: "gRPC, Struct, 300 B", form: Some(Form::Struct), bytes: 300 },
    Kind { name: "gRPC, Struct, 4 KiB", form: Some(Form::Struct), bytes: 4_096 },
    Kind { name: "HTTP, 300 B", form: None, bytes: 300 },
    Kind { name: "HTTP, 4 KiB", form: None, bytes: 4_096 },
];

impl Kind {
    pub(crate) fn calls(self, agents: &[String]) -> Calls {
        let data = payload::data(self.bytes);
        match self.form {
            Some(form) => Calls::grpc_traces(agents, &data, form),
            None => Calls::http_traces(agents, &data),
        }
    }

    /// The server that it is compared with.
    pub(crate) fn beside(self) -> Program {
        Program::Beside(if self.form.is_some() { Beside::Tonic } else { Beside::Axum })
    }
}

/// Throughput, latency and CPU of one kind, one at a time or with both cores busy.
pub(crate) async fn sample(plan: &Plan, kind: Kind, beside: bool, full: bool) -> Figures {
    let process = Process::start(&if beside { kind.beside() } else { plan.server.clone() });
    let calls = kind.calls(&agents(100));
    let width = if full { Width::full(&calls) } else { Width::ONE };
    load::run(process.address, &calls, width, Until::Count(1_000)).await;
    let before = process.cpu();
    let done = load::run(process.address, &calls, width, Until::Time(Duration::from_millis(plan.sample_ms))).await;
    let cpu = process.cpu() - before;
    vec![
        ("rate", done.calls as f64 / done.took.as_secs_f64()),
        ("p50", micros(percentile(&done.latencies, 0.5))),
        ("p99", micros(percentile(&done.latencies, 0.99))),
        ("cpu", micros(cpu) / done.calls as f64),
    ]
}
