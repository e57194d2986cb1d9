// The details of one event: its fields, its data as messages or text and as JSON, its outcome, and the events that belong
// to it.
//
// Most of an event never changes. The parts that do are drawn separately: the hold and the decision, and the event that
// closes the node that this one opened.

import { members } from "../../core/json.js";
import { clip, count, duration, moment, visible, words } from "../../core/text.js";
import { button, element } from "../../ui/dom.js";
import { jsonTree } from "../../ui/jsontree.js";
import { field, goTo, jsonSection, metadata, prose, rawEvent } from "../../ui/sections.js";
import { divergenceSection } from "./divergence.js";
import { messageList, predecessorOf, read } from "./messages.js";
import { decidedSection, holdLine } from "./outcome.js";

/** The fields in the order in which they are shown. `null` values are left out. */
const FIELDS = [
  ["run_id", "Run"],
  ["node_id", "Node"],
  ["parent_id", "Parent"],
  ["model", "Model"],
  ["input_tokens", "Input tokens"],
  ["output_tokens", "Output tokens"],
  ["token_count", "Tokens"],
  ["duration_ms", "Duration", (raw) => duration(Number(raw))],
  ["latency_ms", "Latency", (raw) => duration(Number(raw))],
  ["ts", "Recorded", (raw) => moment(Number(raw)).replace("T", " ")],
  ["start_ts", "Started", (raw) => moment(Number(raw)).replace("T", " ")],
  ["end_ts", "Ended", (raw) => moment(Number(raw)).replace("T", " ")],
  ["effect", "Effect"],
  ["origin", "Origin"],
  ["source_seq", "Recorded as"],
  ["match_key", "Match key"],
  ["replay_checkpoint", "Replay checkpoint"],
  ["checkpoint_id", "Checkpoint"],
  ["run_end", "Last of its run"],
];
const OPENS = new Set(["prompt", "tool_call"]);
const CLOSES = new Set(["response", "tool_result", "error"]);
/** Shown beside the name of a step that is not live. */
const ORIGINS = new Map([["recorded", "from the record"], ["edited", "edited"]]);

export class Details {
  #panel;
  #get;
  #relations;
  #actions;
  #event = null;

  /**
   * `get(seq)` returns an event of the trace, `relations` knows how events belong together. `actions` are
   * `decide(slot, event)`, which draws the decision panel, `breakHere(event)`, `fork(event)`, `ignore(event, path)`, which
   * forks again without comparing that path, `pick(seq)` and `breakpoint(id)`, which go there, and `onTimeout(ids)`, which
   * returns what happens to a step at these breakpoints when the hold times out.
   */
  constructor({ panel, get, relations, actions }) {
    this.#panel = panel;
    this.#get = get;
    this.#relations = relations;
    this.#actions = actions;
    panel.addEventListener("click", (click) => {
      const link = click.target.closest("[data-go]");
      if (!link) return;
      click.preventDefault();
      actions.pick(Number(link.dataset.go));
    });
  }

  /** The event shown, or null. */
  get event() {
    return this.#event;
  }

  /** Shows an event, or with null that none is selected. */
  show(event) {
    this.#event = event;
    const panel = this.#panel;
    panel.dataset.seq = event?.seq ?? "";
    if (!event) {
      const none = element("div", "details-none", "");
      none.append(element("p", "", "No event is selected."), element("p", "hint", "Select an event to see its data."));
      panel.replaceChildren(none);
      return;
    }
    const parts = members(event.raw);
    const place = (name) => element("div", name, "");
    const content = [this.#head(event, parts), warningSection(event.warnings), this.#fields(event, parts), place("decision-slot"), place("decided-slot")];
    if (event.lost) {
      content.push(element("p", "notice", "The data of this step is no longer kept by this page. The step can still be decided."));
    } else {
      content.push(divergenceSection(parts, this.#get, (path) => this.#actions.ignore(event, path)), place("carried"), metadata(parts), rawEvent(event));
    }
    panel.replaceChildren(...content.filter(Boolean));
    panel.scrollTop = 0;
    this.#carried(event, parts);
    this.#decided(event);
  }

  /** The hold of an event, or the decision about it, has changed. */
  changed(event) {
    if (this.#event !== event) return;
    const list = this.#panel.querySelector("dl.fields");
    list.querySelector("[data-field=hold]")?.remove();
    const line = holdLine(event, this.#actions);
    if (line) list.prepend(line);
    this.#decided(event);
  }

  /** The held steps have changed. An event that the trace has dropped learns only here that its hold has ended. */
  holdsChanged(held) {
    const event = this.#event;
    if (!event?.lost) return;
    event.hold = held.find((hold) => hold.seq === event.seq) ?? null;
    event.held = event.hold && "held";
    this.changed(event);
  }

  /** An event was added: it can close the node of the one that is shown. */
  appended(event) {
    if (!this.#event || this.#event.lost || this.#relations.counterpart(this.#event.seq) !== event.seq) return;
    const parts = members(this.#event.raw);
    this.#panel.querySelector("dl.fields").replaceWith(this.#fields(this.#event, parts));
    // Folds, scrolling and focus stay as they are.
    const pair = this.#panel.querySelector(".pair");
    if (pair) pair.lastChild.replaceWith(this.#side(this.#event, event, "Output"));
    else this.#panel.querySelector(".carried").append(this.#counterpart(this.#event, event));
  }

  #head(event, parts) {
    const heading = element("h2", "details-title", "");
    heading.append(element("span", "seq", `#${event.seq}`), " ", element("span", "type", words(event.type)));
    heading.dataset.type = event.type;
    if (event.name) heading.append(" ", element("bdi", "name", event.name));
    const origin = parts.get("origin")?.startsWith('"') ? JSON.parse(parts.get("origin")) : "live";
    if (origin !== "live") heading.append(" ", element("span", "origin", ORIGINS.get(origin) ?? clip(visible(origin), 40)));
    const head = element("div", "details-head", "");
    const actions = element("div", "details-actions", "");
    actions.append(button("Break here", "plain", () => this.#actions.breakHere(event)));
    if (!event.lost) {
      const fork = button("Fork from here", "plain", () => this.#actions.fork(event));
      fork.setAttribute("aria-haspopup", "dialog");
      fork.setAttribute("aria-keyshortcuts", "f");
      fork.title = "Replay the run from the record up to this step, and continue from here with changes (f)";
      actions.append(fork);
    }
    head.append(heading, actions);
    return head;
  }

  #fields(event, parts) {
    const list = element("dl", "fields", "");
    const hold = holdLine(event, this.#actions);
    if (hold) list.append(hold);
    for (const [key, label, format] of FIELDS) {
      const raw = parts.get(key);
      if (raw === undefined || raw === "null" || raw === '""') continue;
      // A step that reports no start began when it was recorded, which is shown already. Being live, and not being the
      // last of its run, is the normal case.
      if (key === "start_ts" && raw === parts.get("ts")) continue;
      if ((key === "run_end" && raw === "false") || (key === "origin" && raw === '"live"')) continue;
      const plain = raw.startsWith('"') ? visible(JSON.parse(raw)) : raw;
      const made = field(key, label, (format && format(raw)) || clip(plain, 500), format ? raw : "");
      if (key === "node_id") this.#link(made, this.#relations.counterpart(event.seq), OPENS.has(event.type) ? "closed by" : "opened by");
      if (key === "source_seq") {
        const source = this.#get(Number(raw));
        if (source) made.lastChild.replaceChildren(goTo(source));
      }
      if (key === "parent_id") this.#link(made, this.#relations.parentOf(event.seq), "");
      list.append(made);
    }
    const wall = this.#wallTime(event, parts);
    if (wall) list.append(wall);
    return list;
  }

  #link(made, seq, relation) {
    const other = seq === undefined ? undefined : this.#get(seq);
    if (!other) return;
    made.lastChild.append(" ", relation, relation && " ", goTo(other));
  }

  /** The time from the opening of a node to its end, without the time that the opening was held: no work was done then. */
  #wallTime(event, parts) {
    const other = this.#get(this.#relations.counterpart(event.seq));
    if (!other) return null;
    const [opening, closing] = OPENS.has(event.type) ? [event, other] : [other, event];
    const at = (one) => Number((one === event ? parts : members(one.raw)).get("ts"));
    const held = opening.decision ? Number(members(opening.decision.raw).get("held_ms")) || 0 : 0;
    const ms = (at(closing) - at(opening)) * 1000 - held;
    if (!(ms >= 0)) return null;
    return field("wall", "Wall time", duration(ms) + (held >= 1 ? `, plus ${duration(held)} held` : ""), "");
  }

  /** The data of the event, and beside it that of the event at the other end of its node. */
  #carried(event, parts) {
    const place = this.#panel.querySelector(".carried");
    if (!place) return;
    const data = parts.get("data") ?? "{}";
    const other = this.#get(this.#relations.counterpart(event.seq));
    const found = OPENS.has(event.type) || CLOSES.has(event.type) ? read(data, event.type === "prompt") : null;
    const tool = event.type === "tool_call" || event.type === "tool_result";
    if (tool || (event.type === "error" && other?.type === "tool_call")) {
      const [input, output] = event.type === "tool_call" ? [event, other] : [other, event];
      const pair = element("div", "pair", "");
      pair.append(this.#side(event, input, "Input"), this.#side(event, output, "Output"));
      place.replaceChildren(pair);
      return;
    }
    const content = found ? [this.#conversation(event, found)] : prose(data);
    content.push(jsonSection("Data", data, !found));
    if (other) content.push(this.#counterpart(event, other));
    place.replaceChildren(...content);
  }

  /** The input or output of a tool call. `one` is the event that carries it: the one shown, its counterpart, or undefined. */
  #side(event, one, title) {
    if (!one) {
      const missing = title === "Output" ? "No output yet. It will appear here when it arrives." : "The call is no longer kept.";
      const waiting = element("section", "payload waiting", "");
      const bar = element("div", "payload-bar", "");
      bar.append(element("h3", "", title));
      waiting.append(bar, element("p", "hint", missing));
      return waiting;
    }
    const data = members(one.raw).get("data") ?? "{}";
    const made = element("div", one.type === "error" ? "failed" : "", "");
    made.append(...prose(data), jsonSection(one.type === "error" ? "Error" : title, data, true));
    if (one !== event) made.querySelector("h3").append(" ", goTo(one));
    return made;
  }

  #conversation(event, found) {
    const section = element("section", "payload", "");
    const bar = element("div", "payload-bar", "");
    const title = element("h3", "", "Messages");
    const earlier = event.type === "prompt" ? this.#relations.promptsBefore(event.seq).map((seq) => this.#get(seq)).filter(Boolean) : [];
    const before = predecessorOf(found, earlier.map((one) => ({ seq: one.seq, data: members(one.raw).get("data") ?? "{}" })));
    const hint = element("span", "hint", "");
    const draw = (compared) => {
      const { list, summary } = messageList(found, compared?.then);
      hint.textContent = [summary, ...found.notes.map((note) => clip(visible(note), 60))].join(" · ");
      if (compared) hint.append(" · compared with ", goTo(this.#get(compared.seq)));
      section.replaceChildren(bar, list);
    };
    bar.append(title, hint);
    if (before) {
      let comparing = true;
      const toggle = button("Show all", "plain", () => {
        comparing = !comparing;
        toggle.textContent = comparing ? "Show all" : "Show changes only";
        draw(comparing ? before : null);
      });
      bar.append(toggle);
    }
    draw(before);
    return section;
  }

  /** The response to a prompt or, folded, the prompt of a response. */
  #counterpart(event, other) {
    const opening = OPENS.has(event.type);
    const title = opening ? (other.type === "error" ? "Error" : "Response") : "Prompt";
    const make = () => {
      const data = members(other.raw).get("data") ?? "{}";
      const found = read(data, other.type === "prompt");
      return found ? [messageList(found, null).list] : [...prose(data), jsonTree(data, { label: title })];
    };
    const section = element("section", "payload", "");
    const bar = element("div", "payload-bar", "");
    const head = element("h3", "", `${title} `);
    head.append(goTo(other));
    bar.append(head);
    section.append(bar);
    if (opening) section.append(...make());
    else bar.append(button("Show", "plain", (click) => {
      click.target.remove();
      section.append(...make());
    }));
    return section;
  }

  #decided(event) {
    this.#actions.decide(this.#panel.querySelector(".decision-slot"), event);
    const slot = this.#panel.querySelector(".decided-slot");
    if (!event.decision || event.decision.action === "proceed" || slot.dataset.shows === event.decision.raw) return;
    slot.dataset.shows = event.decision.raw;
    slot.replaceChildren(decidedSection(event));
  }
}

/** What the server found wrong with the event as the agent sent it; null where it found nothing. */
function warningSection(warnings) {
  if (warnings.length === 0) return null;
  const section = element("section", "notice warning warnings", "");
  section.setAttribute("aria-label", "Warnings");
  const list = element("ul", "", "");
  list.append(...warnings.map((text) => element("li", "", text)));
  section.append(element("strong", "", count(warnings.length, "warning")), list);
  return section;
}
