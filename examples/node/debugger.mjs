// Reports an agent's steps to agent-debugger and returns what to do. Copy it into your own agent.

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

// Somebody decided that the run ends here.
export class Aborted extends Error {}

export class Debugger {
  ended = false; // whether an event with run_end was reported
  #complained = false;
  #metadata = new grpc.Metadata();

  constructor(defaultAgentId, env = process.env) {
    const url = new URL(env.AGENT_DEBUGGER_URL || "http://127.0.0.1:7117");
    this.agentId = env.AGENT_DEBUGGER_AGENT_ID || defaultAgentId;
    this.runId = env.AGENT_DEBUGGER_RUN_ID ?? "";
    if (env.AGENT_DEBUGGER_TOKEN) this.#metadata.set("authorization", `Bearer ${env.AGENT_DEBUGGER_TOKEN}`);
    const secure = url.protocol === "https:";
    // `host` leaves a scheme's own port out, which gRPC does not guess from the scheme.
    const target = url.port ? url.host : `${url.hostname}:${secure ? 443 : 80}`;
    const credentials = secure ? grpc.credentials.createSsl() : grpc.credentials.createInsecure();
    this.client = new DebuggerService(target, credentials);
  }

  // Reports one step, waits while it is held, and returns the decision: `action` (proceed, edit, fulfil or fail),
  // `data`, `model`, `message` and the step's `nodeId`, which belongs on the event that closes the step.
  // An abort is thrown as Aborted.
  async step(type, data, { accepts = [], ...fields } = {}) {
    this.ended ||= fields.run_end ?? false;
    const request = {
      agent_id: this.agentId,
      run_id: this.runId,
      type: `EVENT_TYPE_${type.toUpperCase()}`,
      data_json: JSON.stringify(data),
      accepts: accepts.map((verb) => `VERB_${verb.toUpperCase()}`),
      ...fields,
    };
    const answer = await this.#trace(request);
    const { action } = answer.decision;
    const decided = answer.decision[action];
    if (action === "abort") throw new Aborted(decided.reason);
    return {
      action,
      data: decided.data_json ? JSON.parse(decided.data_json) : undefined,
      model: decided.model,
      message: decided.message,
      nodeId: answer.node_id,
    };
  }

  #trace(request) {
    return new Promise((resolve, reject) => {
      // No deadline: the step may be held for as long as somebody looks at it.
      this.client.Trace(request, this.#metadata, (error, answer) => {
        if (!error) return resolve(answer);
        // ABORTED is a stop for agents that do not say that they accept one. Everything else fails open:
        // a debugger that is away or broken must not stop the agent.
        if (error.code === grpc.status.ABORTED) return reject(new Aborted(error.details));
        if (!this.#complained) console.error(`going on without the debugger: ${error.details}`);
        this.#complained = true;
        resolve({ node_id: "", decision: { action: "proceed", proceed: {} } });
      });
    });
  }

  close() {
    this.client.close();
  }
}
