//! `fork`: makes a run that retraces another one, and starts its agent where a program is given.

use std::{fs, process::ExitCode};

use serde::de::IgnoredAny;

use super::{
    Problem,
    args::ForkArgs,
    connect::{Scope, Service},
    escape,
    output::Output,
    run::{Program, say_where_to_come, start},
    say, say_plainly,
};
use crate::{
    json,
    proto::{self, Effect, EffectPolicy, fork_request::Payload},
};

pub(super) async fn run(args: ForkArgs) -> Result<ExitCode, Problem> {
    let request = proto::ForkRequest {
        agent_id: args.agent.clone(),
        run_id: args.run.clone(),
        seq: args.at,
        payload: args.edit.as_deref().map(data).transpose()?.map(Payload::DataJson),
        model: args.model.clone().unwrap_or_default(),
        effects: Some(policies(&args.effects)),
        on_divergence: args.on_divergence.map_or(0, i32::from),
        ignore: args.ignore.clone(),
    };
    let service = Service::new(&args.service, Scope::Control)?;
    let forked = service.connect().await?.fork(request).await?.into_inner();
    let (run, plan) = (forked.run_id.clone(), forked.plan.clone().unwrap_or_default());
    let mut out = Output::stdout(args.json);
    if args.command.is_empty() {
        if args.json {
            out.json(&json::run::forked(forked))?;
        } else {
            // Alone on stdout, so that a script can take it from there.
            out.line(&escape::text(&run))?;
            say(&plan.summary);
        }
        return Ok(ExitCode::SUCCESS);
    }
    // The program's stdout is the program's.
    if args.json {
        let line = serde_json::to_string(&json::run::forked(forked));
        let line = line.map_err(|error| Problem::Failed(error.to_string()))?;
        say_plainly(&escape::json(&line));
    } else {
        say(&format!("run {run}: {}", plan.summary));
        if plan.live_calls.iter().any(|calls| calls.policy == i32::from(EffectPolicy::Ask)) {
            say("what asks is answered in a debugger:");
            say_where_to_come(&args.service.url, &args.agent);
        }
    }
    let program =
        Program { service: &args.service, agent: &args.agent, run: &run, command: &args.command, hold: false };
    start(program).await
}

/// The data that `--edit` gives. What is wrong with an object, the service says.
fn data(given: &str) -> Result<String, Problem> {
    let text = match given.strip_prefix('@') {
        None => given.to_owned(),
        Some(path) => {
            fs::read_to_string(path).map_err(|error| Problem::Usage(format!("--edit: cannot read {path}: {error}")))?
        }
    };
    match serde_json::from_str::<IgnoredAny>(&text) {
        Err(error) => Err(Problem::Usage(format!("--edit: is not valid JSON: {error}"))),
        Ok(_) if !text.trim_start().starts_with('{') => Err(Problem::Usage("--edit: must be a JSON object".into())),
        Ok(_) => Ok(text),
    }
}

/// Of several policies for one effect the last counts.
fn policies(given: &[(Effect, EffectPolicy)]) -> proto::EffectPolicies {
    let mut policies = proto::EffectPolicies::default();
    for (effect, policy) in given {
        let place = match effect {
            Effect::Unspecified => &mut policies.unknown,
            Effect::Pure => &mut policies.pure,
            Effect::Read => &mut policies.read,
            Effect::Idempotent => &mut policies.idempotent,
            Effect::Mutating => &mut policies.mutating,
        };
        *place = (*policy).into();
    }
    policies
}
