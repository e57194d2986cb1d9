// Reports an agent's steps to agent-debugger and returns what to do. Copy it into your own agent.

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

// The contract is read when this module is loaded, so there is nothing to generate. In your own project point
// this at your copy of `proto/`.
const PROTOS = fileURLToPath(new URL("../../proto/", import.meta.url));
const contract = protoLoader.loadSync("agent_debugger/v1/debugger.proto", {
  includeDirs: [PROTOS],
  keepCase: true,
  enums: String,
  longs: String,
  oneofs: true,
});
const { DebuggerService } = grpc.loadPackageDefinition(contract).agent_debugger.v1;

// All times are in milliseconds. How long a debugger that is away is asked again, and between two attempts.
const AWAY = 10_000;
const PAUSE = 200;
// A step that got no answer for this long was held: others are answered in milliseconds.
const HELD_AFTER = 1_000;
// How long one call waits while the step is held, before it asks again, and how long its answer may take beyond that;
// and the same while the debugger is away.
const [POLL, MARGIN] = [20_000, 10_000];
const [POLL_AWAY, MARGIN_AWAY] = [2_000, 3_000];
// The largest message that the service reads to its end.
const MAX_BYTES = 4 * 1024 * 1024;
// How Node says that nothing listens there; any other failure to connect is none of these.
const NOTHING_LISTENS = /ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|ETIMEDOUT|^Name resolution failed/;
const UNTRUSTED = /certificate|SSL|TLS|EPROTO/i;

// The run was aborted: no further step of it may run.
export class Aborted extends Error {}
// This step must not run: it was refused, or its answer was lost, or a required debugger is absent.
export class Refused extends Error {}
// Nothing listens there, or the service has no room for this agent.
class Absent extends Error {}
// No answer, but there may be one in a moment.
class Away extends Error {}

export class Debugger {
  ended = false; // whether an event with run_end was reported
  #complained = false;
  #metadata = new grpc.Metadata();

  constructor(defaultAgentId, env = process.env) {
    const url = new URL(env.AGENT_DEBUGGER_URL || "http://127.0.0.1:7117");
    this.agentId = env.AGENT_DEBUGGER_AGENT_ID || defaultAgentId;
    this.runId = env.AGENT_DEBUGGER_RUN_ID ?? "";
    this.required = !["", "0"].includes(env.AGENT_DEBUGGER_REQUIRED ?? "0");
    if (env.AGENT_DEBUGGER_TOKEN) this.#metadata.set("authorization", `Bearer ${env.AGENT_DEBUGGER_TOKEN}`);
    const secure = url.protocol === "https:";
    // `host` leaves a scheme's own port out, which gRPC does not guess from the scheme.
    const target = url.port ? url.host : `${url.hostname}:${secure ? 443 : 80}`;
    const credentials = secure ? grpc.credentials.createSsl() : grpc.credentials.createInsecure();
    this.client = new DebuggerService(target, credentials, {
      // gRPC would wait for up to two minutes before it tries again where nothing listened.
      "grpc.initial_reconnect_backoff_ms": 200,
      "grpc.max_reconnect_backoff_ms": 1_000,
    });
  }

  // Reports one step, waits while it is held, and returns the decision: `action` (proceed, edit, fulfil or fail),
  // `data`, `model`, `message` and the step's `nodeId`, which belongs on the event that closes the step.
  // An abort is thrown as Aborted, and a step that must not run as Refused. Where nothing listens, steps proceed unless
  // AGENT_DEBUGGER_REQUIRED is set.
  async step(type, data, { accepts = [], ...fields } = {}) {
    const request = {
      agent_id: this.agentId,
      run_id: this.runId,
      type: `EVENT_TYPE_${type.toUpperCase()}`,
      data_json: textOf(data),
      accepts: accepts.map((verb) => `VERB_${verb.toUpperCase()}`),
      request_id: randomUUID(),
      ...fields,
    };
    const answer = await this.#ask(request);
    this.ended ||= fields.run_end ?? false;
    const action = answer.decision?.action;
    const decided = answer.decision?.[action];
    if (!decided) throw new Refused("decision: it is none that this helper knows");
    if (action === "abort") throw new Aborted(decided.reason);
    return {
      action,
      data: decided.data_json ? JSON.parse(decided.data_json) : undefined,
      model: decided.model,
      message: decided.message,
      nodeId: answer.node_id,
    };
  }

  // Asks until there is an answer, or it is clear that there will be none.
  async #ask(request) {
    let held = false;
    let awayUntil;
    for (;;) {
      const asked = performance.now();
      try {
        const answer = await this.#trace(request, awayUntil !== undefined);
        if (answer.outcome !== "OUTCOME_STILL_HELD") return answer;
        [held, awayUntil] = [true, undefined];
      } catch (trouble) {
        const isAbsent = trouble instanceof Absent;
        if (!isAbsent && !(trouble instanceof Away)) throw trouble;
        // One that was there a moment ago may be starting again.
        if (isAbsent && !held && awayUntil === undefined) return this.#absent(trouble);
        const now = performance.now();
        held ||= now - asked > HELD_AFTER;
        awayUntil ??= now + AWAY;
        if (now >= awayUntil) {
          if (held) throw new Refused(`the step was held, and the connection was lost: ${trouble.message}`);
          return this.#absent(trouble);
        }
        await sleep(PAUSE);
      }
    }
  }

  #trace(request, away) {
    const [poll, margin] = away ? [POLL_AWAY, MARGIN_AWAY] : [POLL, MARGIN];
    const message = { ...request, hold_timeout: { seconds: poll / 1_000 } };
    return new Promise((resolve, reject) => {
      // What cannot be reported must not run unseen.
      const refuse = (why) => reject(new Refused(`the step cannot be sent: ${why}`));
      try {
        const { length } = DebuggerService.service.Trace.requestSerialize(message);
        if (length > MAX_BYTES) return refuse(`${length} bytes, at most ${MAX_BYTES} are taken`);
        this.client.Trace(message, this.#metadata, { deadline: Date.now() + poll + margin }, (error, answer) =>
          error ? reject(troubleOf(error)) : resolve(answer),
        );
      } catch (error) {
        refuse(error.message);
      }
    });
  }

  #absent(trouble) {
    if (this.required) throw new Refused(`a debugger is required, and there is none: ${trouble.message}`);
    if (!this.#complained) console.error(`going on without the debugger: ${trouble.message}`);
    this.#complained = true;
    return { node_id: "", decision: { action: "proceed", proceed: {} } };
  }

  close() {
    this.client.close();
  }
}

// The data as JSON. JSON.stringify writes null for a number that JSON does not have: what is shown to people would not
// be what runs.
function textOf(data) {
  try {
    const text = JSON.stringify(data, (key, value) => {
      if (typeof value === "number" && !Number.isFinite(value)) throw new TypeError(`${key} is ${value}`);
      return value;
    });
    if (text === undefined) throw new TypeError(`data is ${typeof data}`);
    return text;
  } catch (error) {
    throw new Refused(`the step cannot be sent: ${error.message}`);
  }
}

// What a failed call says of the debugger: it refused, it is absent, or it may be back in a moment.
function troubleOf({ code, details, metadata, message }) {
  const said = details || message;
  // The service sends details with every refusal; gRPC has none for its own.
  const [packed] = metadata?.get("grpc-status-details-bin") ?? [];
  if (code === grpc.status.ABORTED) return new Aborted(said);
  if (code === grpc.status.RESOURCE_EXHAUSTED && packed?.includes("\n\x0bAGENT_LIMIT")) return new Absent(said); // ErrorInfo.reason
  if (code === grpc.status.UNAVAILABLE) {
    const unconnected = !packed && /^(No connection established|Name resolution failed)/.test(said);
    if (unconnected && NOTHING_LISTENS.test(said)) return new Absent(said);
    // A service that is not the one that was meant, or does not want this client.
    if (unconnected && UNTRUSTED.test(said)) return new Refused(said);
    return new Away(said);
  }
  const isLocal = [grpc.status.DEADLINE_EXCEEDED, grpc.status.CANCELLED].includes(code) && !packed;
  return isLocal ? new Away(said) : new Refused(said);
}
