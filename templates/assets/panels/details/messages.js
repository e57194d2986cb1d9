// A conversation as messages: roles, texts, tool calls, and what is new since the previous call.

import { difference } from "../../core/diff.js";
import { clip, count, visible, visibleLines } from "../../core/text.js";
import { conversation, plain, readMessage, signature } from "../../model/conversation.js";
import { copyButton } from "../../ui/clipboard.js";
import { diffView } from "../../ui/diffview.js";
import { button, element } from "../../ui/dom.js";
import { jsonTree } from "../../ui/jsontree.js";
import { longText } from "../../ui/longtext.js";

/** The length of a text that is shown at first. */
const TEXT = 6_000;
/** The number of messages that are shown at first: the newest ones. */
const NEWEST = 40;
/** Conversations beyond this size are not compared. */
const COMPARED = 8 * 1024 * 1024;
const NAMES = new Map([["system", "System"], ["developer", "Developer"], ["user", "User"], ["assistant", "Assistant"], ["tool", "Tool"]]);

/** The conversation in `data`, as `conversation` returns it; null where there is none. */
export function read(data, opening) {
  return data?.startsWith("{") ? conversation(data, opening) : null;
}

/**
 * A list of the messages, and a summary of it in words. `before` is an earlier conversation: messages that are in both
 * are folded, and a changed message is shown as a diff.
 */
export function messageList(found, before) {
  const list = element("div", "messages", "");
  if (!before) {
    const late = found.messages.slice(-NEWEST);
    const early = found.messages.slice(0, -NEWEST);
    if (early.length) list.append(fold(`${count(early.length, "earlier message")}`, () => early.map(article)));
    list.append(...late.map(article));
    return { list, summary: count(found.messages.length, "message") };
  }
  const counts = { same: 0, added: 0, changed: 0, removed: 0 };
  const changes = difference(before.messages.map(signature), found.messages.map(signature));
  for (let at = 0; at < changes.length; ) {
    const from = at;
    const same = changes[at].kind === "same";
    while (at < changes.length && (changes[at].kind === "same") === same) at += 1;
    const part = changes.slice(from, at);
    if (same) {
      counts.same += part.length;
      const messages = part.map((change) => found.messages[change.after]);
      list.append(fold(count(part.length, "unchanged message"), () => messages.map(article)));
    } else {
      list.append(...changed(part, before, found, counts));
    }
  }
  const parts = [
    counts.same && `${counts.same} unchanged`,
    counts.added && `${counts.added} new`,
    counts.changed && `${counts.changed} changed`,
    counts.removed && `${counts.removed} removed`,
  ];
  return { list, summary: parts.filter(Boolean).join(", ") };
}

/** The earlier conversation that this one continues: of the nearest ones, the one with the most messages in common. */
export function predecessorOf(found, earlier) {
  const now = found.messages.map(signature);
  let best = null;
  let size = found.messages.reduce((sum, { raw }) => sum + raw.length, 0);
  for (const candidate of earlier) {
    size += candidate.data.length;
    if (size > COMPARED) break;
    const then = read(candidate.data, true);
    if (!then) continue;
    const old = then.messages.map(signature);
    const common = difference(old, now).filter(({ kind }) => kind === "same").length;
    // With only the system message in common it is another conversation of the same agent.
    const score = common - (then.messages[0]?.role === "system" && old[0] === now[0] ? 0.5 : 0);
    if (score >= 1 && (!best || score > best.score)) best = { score, seq: candidate.seq, then };
    if (common === old.length) break;
  }
  return best;
}

function changed(part, before, found, counts) {
  const gone = part.filter(({ kind }) => kind === "gone").map((change) => before.messages[change.before]);
  const fresh = part.filter(({ kind }) => kind === "new").map((change) => found.messages[change.after]);
  const shown = [];
  const roles = (message) => readMessage(message).role;
  while (gone.length && fresh.length && roles(gone[0]) === roles(fresh[0])) {
    const [old, now] = [gone.shift(), fresh.shift()];
    counts.changed += 1;
    const made = frame(readMessage(now), "changed");
    made.append(diffView(plain(old), plain(now)));
    shown.push(made);
  }
  for (const message of gone) {
    counts.removed += 1;
    const made = article(message);
    mark(made, "removed");
    shown.push(made);
  }
  for (const message of fresh) {
    counts.added += 1;
    const made = article(message);
    mark(made, "new");
    shown.push(made);
  }
  return shown;
}

function fold(label, make) {
  const opener = button(label, "plain fold", () => {
    const made = make();
    opener.replaceWith(...made);
    made[0].tabIndex = -1;
    made[0].focus({ preventScroll: true });
  });
  return opener;
}

function article(message) {
  const { role, name, parts } = readMessage(message);
  const made = frame({ role, name });
  const copy = copyButton(() => plain(message), "Copy");
  copy.setAttribute("aria-label", `Copy the message of ${made.dataset.role}`);
  made.firstChild.append(copy);
  for (const part of parts) made.append(partView(part));
  if (parts.length === 0) made.append(element("p", "hint", "Empty."));
  return made;
}

function frame({ role, name }, state) {
  const made = element("section", "message", "");
  made.dataset.role = NAMES.has(role) ? role : "other";
  const title = element("h4", "", "");
  title.append(element("bdi", "", NAMES.get(role) ?? (clip(visible(role), 60) || "Message")));
  if (name) title.append(" ", element("bdi", "who", clip(visible(name), 80)));
  const head = element("div", "message-head", "");
  head.append(title);
  made.append(head);
  if (state) mark(made, state);
  return made;
}

function mark(made, state) {
  made.dataset.state = state;
  made.querySelector("h4").append(" ", element("span", "state", state));
}

function partView(part) {
  if (part.kind === "text") return text(part.text);
  if (part.kind === "note") return element("p", "hint", visible(part.text));
  if (part.kind === "json") return jsonTree(part.raw, { label: "Part of the message" });
  if (part.kind === "thinking") {
    const made = element("div", "part thinking", "");
    made.append(element("p", "part-title", "Thinking"), text(part.text));
    return made;
  }
  const made = element("div", `part ${part.kind}`, "");
  const title = element("p", "part-title", part.kind === "call" ? "Calls " : part.error ? "Error result" : "Result");
  if (part.kind === "call") title.append(element("bdi", "name", clip(visible(part.name), 120) || "a tool"));
  if (part.id) title.append(" ", element("bdi", "hint", clip(visible(part.id), 60)));
  made.append(title);
  if (part.kind === "call") made.append(part.raw === undefined ? text(part.text) : jsonTree(part.raw, { label: "Arguments" }));
  else made.append(...part.parts.map(partView));
  return made;
}

function text(value) {
  return longText(value, { most: TEXT, show: visibleLines, className: "prose" });
}
