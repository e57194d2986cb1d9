// The conversation in an event's data, in the shapes in which the common model APIs and frameworks write it: OpenAI
// (chat and responses), Anthropic, Gemini, Bedrock, Ollama, LangChain.
//
// Everything stays text: a message is a piece of the JSON as it was received, so that two messages are the same where
// their texts are, and an argument keeps every digit.

import { items, members } from "../core/json.js";

/** The names of objects that wrap a request or a response: the conversation is then looked for one level deeper. */
const WRAPPERS = ["request", "body", "params", "kwargs", "inputs", "input", "payload", "response", "output", "result", "data"];
/** The names that APIs give to a role, to ours. */
const ROLES = new Map([
  ["human", "user"],
  ["ai", "assistant"],
  ["model", "assistant"],
  ["chatbot", "assistant"],
  ["aimessagechunk", "assistant"],
  ["function", "tool"],
]);
/** A marker that moves from call to call and does not change the message. */
const CACHE = /,?"cache_control":(?:\{[^{}]*\}|null)/g;

/**
 * The messages in `data` (the text of an object): `{messages: [{raw, role}], notes}`, or null where no shape fits.
 * `role` is for a message that names none itself. `opening` is true for a prompt, and false for a response.
 */
export function conversation(data, opening) {
  const top = members(data);
  const read = opening ? readRequest : readResponse;
  const found = read(top, data);
  if (found) return found;
  for (const key of WRAPPERS) {
    const inner = top.get(key);
    const deeper = inner?.startsWith("{") ? read(members(inner), inner) : null;
    if (deeper) return deeper;
  }
  return null;
}

/** A text that is equal for two messages exactly where the messages are the same. */
export function signature({ raw, role }) {
  return `${role} ${raw.includes('"cache_control"') ? raw.replace(CACHE, "") : raw}`;
}

function readRequest(top) {
  const messages = [];
  for (const key of ["system", "instructions", "systemInstruction", "system_instruction", "system_prompt"]) {
    if (filled(top.get(key))) messages.push({ raw: top.get(key), role: "system" });
  }
  const system = messages.length;
  for (const key of ["messages", "contents", "input", "prompt", "history", "prompts"]) {
    const raw = top.get(key);
    if (raw?.startsWith("[")) {
      let all = items(raw);
      // LangChain asks in batches: a list of lists of messages.
      if (all.length > 0 && all.every((one) => one.startsWith("["))) all = all.flatMap((one) => (isPair(one) ? [one] : items(one)));
      if (all.every(isMessage)) messages.push(...all.map((one) => ({ raw: one, role: "user" })));
    } else if (raw?.startsWith('"') && (system || key === "contents")) {
      messages.push({ raw, role: "user" });
    } else if (raw?.startsWith("{") && members(raw).has("messages")) {
      return readRequest(members(raw));
    }
    if (messages.length > system) break;
  }
  if (messages.length === 0) return null;
  const tools = top.get("tools") ?? top.get("functions");
  const offered = tools?.startsWith("[") ? items(tools).length : 0;
  return { messages, notes: offered ? [`${offered} ${offered === 1 ? "tool" : "tools"} offered`] : [] };
}

function readResponse(top, data) {
  const messages = [];
  const notes = [];
  const note = (raw) => raw?.startsWith('"') && notes.push(JSON.parse(raw));
  const add = (raw) => filled(raw) && messages.push({ raw, role: "assistant" });
  if (top.get("choices")?.startsWith("[")) {
    for (const choice of items(top.get("choices"))) {
      const parts = members(choice);
      add(parts.get("message") ?? parts.get("delta") ?? parts.get("text"));
      note(parts.get("finish_reason"));
    }
  } else if (top.get("candidates")?.startsWith("[")) {
    for (const candidate of items(top.get("candidates"))) {
      const parts = members(candidate);
      add(parts.get("content"));
      note(parts.get("finishReason"));
    }
  } else if (top.get("generations")?.startsWith("[")) {
    for (const list of items(top.get("generations"))) {
      for (const one of list.startsWith("[") ? items(list) : [list]) {
        const parts = members(one);
        add(parts.get("message") ?? parts.get("text"));
      }
    }
  } else if (top.get("output")?.startsWith("[") && items(top.get("output")).every(isMessage)) {
    for (const one of items(top.get("output"))) add(one);
  } else if (top.get("messages")?.startsWith("[") && items(top.get("messages")).every(isMessage)) {
    for (const one of items(top.get("messages"))) add(one);
  } else if (top.get("message")?.startsWith("{") && isMessage(top.get("message"))) {
    add(top.get("message"));
  } else if (top.get("content")?.startsWith("[") || (top.has("role") && isMessage(data)) || filled(top.get("tool_calls"))) {
    add(data);
  }
  for (const key of ["stop_reason", "stopReason", "done_reason", "finish_reason"]) note(top.get(key));
  return messages.length ? { messages, notes } : null;
}

function filled(raw) {
  return raw !== undefined && raw !== "null" && raw !== '""' && raw !== "[]" && raw !== "{}";
}

/** Whether it is `["human", "…"]`, the short form of LangChain. */
function isPair(raw) {
  const parts = items(raw);
  return parts.length === 2 && /^"[a-z]+"$/.test(parts[0]) && parts[1].startsWith('"');
}

function isMessage(raw) {
  if (raw.startsWith("[")) return isPair(raw);
  if (!raw.startsWith("{")) return false;
  const parts = members(raw);
  return ["role", "content", "parts", "kwargs", "tool_calls", "call_id", "summary"].some((key) => parts.has(key))
    || (parts.has("type") && (parts.has("data") || parts.has("text")));
}

/**
 * What a message says: `{role, name, parts}`. A part is `{kind}` of "text", "thinking" or "note" with `text`; "call"
 * with `name`, `id` and its arguments as `raw` JSON or `text`; "result" with `id`, `error` and `parts`; or "json" with
 * `raw`.
 */
export function readMessage({ raw, role }) {
  if (raw.startsWith('"')) return { role, name: "", parts: [{ kind: "text", text: JSON.parse(raw) }] };
  if (raw.startsWith("[")) {
    const parts = items(raw);
    if (isPair(raw)) return { role: roleOf(JSON.parse(parts[0])), name: "", parts: content(parts[1]) };
    return { role, name: "", parts: content(raw) };
  }
  let message = members(raw);
  let named = string(message.get("role")) ?? string(message.get("author"));
  if (message.get("kwargs")?.startsWith("{")) {
    named = string(items(message.get("id") ?? "[]").at(-1))?.replace(/Message(Chunk)?$/, "");
    message = members(message.get("kwargs"));
  } else if (message.get("data")?.startsWith("{") && message.has("type")) {
    named = string(message.get("type"));
    message = members(message.get("data"));
  }
  const type = string(message.get("type")) ?? "";
  const name = string(message.get("name")) ?? "";
  if (type === "function_call" || type === "custom_tool_call") return { role: "assistant", name: "", parts: [call(message)] };
  if (type.endsWith("_call_output")) return { role: "tool", name: "", parts: [result(message.get("call_id"), message.get("output"), false)] };
  if (type === "reasoning") return { role: "assistant", name: "", parts: thinking(content(message.get("summary") ?? message.get("content"))) };
  if (named === undefined && /^(human|ai|system|tool|function|chat|AIMessageChunk)$/.test(type)) named = type;
  const speaker = roleOf(named ?? role);
  let parts = [];
  for (const key of ["reasoning_content", "reasoning", "thinking"]) {
    const text = string(message.get(key));
    if (text) parts.push({ kind: "thinking", text });
  }
  const body = ["content", "parts", "text", "message", "output"].map((key) => message.get(key)).find(filled);
  if (speaker === "tool") parts.push(result(message.get("tool_call_id") ?? message.get("tool_use_id"), body, string(message.get("status")) === "error"));
  else parts = parts.concat(content(body));
  const refused = string(message.get("refusal"));
  if (refused) parts.push({ kind: "note", text: `Refused: ${refused}` });
  for (const one of items(message.get("tool_calls") ?? "[]")) {
    // LangChain repeats in tool_calls the calls that are in the blocks of the content.
    const made = call(members(one));
    if (!parts.some((part) => part.kind === "call" && part.id && part.id === made.id)) parts.push(made);
  }
  if (message.get("function_call")?.startsWith("{")) parts.push(call(members(message.get("function_call"))));
  if (parts.length === 0 && !["content", "parts", "text"].some((key) => message.has(key))) parts.push({ kind: "json", raw });
  return { role: speaker, name, parts };
}

/** The whole content of a message as one text, to compare it with another. */
export function plain(message) {
  const text = (part) => {
    if (part.kind === "call") return `${part.name}(${part.raw ?? part.text})`;
    if (part.kind === "result") return part.parts.map(text).join("\n");
    return part.text ?? part.raw;
  };
  return readMessage(message).parts.map(text).join("\n\n");
}

function content(raw) {
  if (!filled(raw)) return [];
  if (raw.startsWith("[")) return items(raw).flatMap(block);
  return block(raw);
}

function block(raw) {
  if (raw.startsWith('"')) return [{ kind: "text", text: JSON.parse(raw) }];
  if (!raw.startsWith("{")) return [{ kind: "json", raw }];
  const parts = members(raw);
  const type = string(parts.get("type")) ?? "";
  const text = string(parts.get("text"));
  if (type === "thinking" || type === "reasoning" || (text !== undefined && parts.get("thought") === "true")) {
    const thought = string(parts.get("thinking")) ?? string(parts.get("reasoning")) ?? text;
    return thought ? [{ kind: "thinking", text: thought }] : thinking(content(parts.get("summary")));
  }
  if (type === "redacted_thinking") return [{ kind: "note", text: "Thinking, redacted by the provider" }];
  if (text !== undefined) return [{ kind: "text", text }];
  if (type === "refusal") return [{ kind: "note", text: `Refused: ${string(parts.get("refusal")) ?? ""}` }];
  const used = parts.get("functionCall") ?? parts.get("function_call") ?? parts.get("toolUse");
  if (used?.startsWith("{")) return [call(members(used))];
  if (/tool_use$|^tool_call$|^function_call$/.test(type)) return [call(parts)];
  const answer = parts.get("functionResponse") ?? parts.get("function_response") ?? parts.get("toolResult");
  if (answer?.startsWith("{")) {
    const inner = members(answer);
    return [result(inner.get("name") ?? inner.get("toolUseId"), inner.get("response") ?? inner.get("content"), string(inner.get("status")) === "error")];
  }
  if (/tool_result$/.test(type)) return [result(parts.get("tool_use_id"), parts.get("content"), parts.get("is_error") === "true")];
  const json = parts.get("json");
  if (json !== undefined && parts.size === 1) return [{ kind: "json", raw: json }];
  return [{ kind: "json", raw }];
}

function call(parts) {
  const inner = parts.get("function")?.startsWith("{") ? members(parts.get("function")) : parts;
  const id = string(parts.get("call_id")) ?? string(parts.get("id")) ?? string(parts.get("toolUseId")) ?? "";
  const made = { kind: "call", name: string(inner.get("name")) ?? string(parts.get("name")) ?? "", id };
  const given = ["arguments", "args", "input"].map((key) => inner.get(key)).find((raw) => raw !== undefined) ?? "{}";
  return { ...made, ...value(given) };
}

function result(id, raw, error) {
  const text = string(raw);
  const parts = text === undefined ? content(raw) : [{ kind: "text", ...value(raw) }];
  return { kind: "result", id: string(id) ?? "", error, parts: parts.map((part) => (part.raw && part.kind === "text" ? { kind: "json", raw: part.raw } : part)) };
}

/** JSON as it is; a string that contains a JSON object or array as that. */
function value(raw) {
  const text = string(raw);
  if (text === undefined) return { raw };
  try {
    const meant = JSON.parse(text);
    if (meant !== null && typeof meant === "object") return { raw: text };
  } catch {
    // Arguments can be incomplete, where the response was cut off.
  }
  return { text };
}

function thinking(parts) {
  return parts.map((part) => (part.kind === "text" ? { ...part, kind: "thinking" } : part));
}

function roleOf(role) {
  const known = String(role).toLowerCase();
  return ROLES.get(known) ?? known;
}

function string(raw) {
  return raw?.startsWith('"') ? JSON.parse(raw) : undefined;
}
