// Reports one tool call with the helper for Node and prints what its agent was told.

import { Aborted, Debugger, Refused } from "../../../examples/node/debugger.mjs";

const MIB = 1024 * 1024;
const [kind] = process.argv.slice(2);

function deep() {
  let data = {};
  for (let level = 0; level < 69; level += 1) data = { deeper: data };
  return data;
}

const DATA = {
  sizeable: () => ({ text: "x".repeat(3.4 * MIB) }),
  large: () => ({ text: "x".repeat(3.6 * MIB) }),
  huge: () => ({ text: "x".repeat(5 * MIB) }),
  deep,
  nan: () => ({ amount: NaN }),
  list: () => [1],
  foreign: () => ({ amount: 1n }),
};
const NAMES = { long_name: "x".repeat(201), huge_name: "x".repeat(5 * MIB) };

const debug = new Debugger("probe");
const data = (DATA[kind] ?? (() => ({ amount: 1 })))();
const fields = { name: NAMES[kind] ?? "pay", accepts: ["edit", "fulfil", "fail", "abort"] };
let told;
try {
  told = { told: (await debug.step("tool_call", data, fields)).action };
} catch (error) {
  if (!(error instanceof Refused || error instanceof Aborted)) throw error;
  told = { told: error instanceof Refused ? "refused" : "aborted", why: error.message };
}
debug.close();
console.log(JSON.stringify(told));
