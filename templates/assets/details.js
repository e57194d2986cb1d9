// The details of one event: what it is, what it carries as people read it and as JSON, what came of it, and what it
// belongs to.
//
// Most of an event never changes. What does has a place of its own, and is drawn again when it does: the hold and the
// decision, and the event that closes what this one opened.

import { decidedSection, holdLine } from "./decided.js";
import { divergenceSection } from "./divergence.js";
import { button, element } from "./dom.js";
import { members } from "./json.js";
import { jsonTree } from "./jsontree.js";
import { goesOnWith, messageList, read } from "./messages.js";
import { field, goTo, jsonSection, metadata, prose, rawEvent } from "./payload.js";
import { clip, duration, moment, visible, words } from "./text.js";

/** The fields worth a line of their own, in the order in which they are read. `null` values are left out. */
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
  ["run_end", "Ends the run"],
];
const OPENS = new Set(["prompt", "tool_call"]);
const CLOSES = new Set(["response", "tool_result", "error"]);
/** Said beside the name of a step that was not reported live. */
const ORIGINS = { recorded: "from a record", edited: "edited" };

export class Details {
  #panel;
  #get;
  #nodes;
  #tools;
  #event = null;

  /**
   * `get(seq)` is an event of the trace, `nodes` says how they belong together. `tools` are `decide(slot, event)`,
   * which fills in what can be decided, `breakHere(event)`, `fork(event)`,
   * `ignore(event, path)`, which forks anew without that path, `pick(seq)` and `breakpoint(id)`, which go there, and
   * `onTimeout(ids)`, which says what becomes of a step at these breakpoints when its time is up.
   */
  constructor({ panel, get, nodes, tools }) {
    this.#panel = panel;
    this.#get = get;
    this.#nodes = nodes;
    this.#tools = tools;
    panel.addEventListener("click", (click) => {
      const link = click.target.closest("[data-go]");
      if (!link) return;
      click.preventDefault();
      tools.pick(Number(link.dataset.go));
    });
  }

  /** The event shown, or null. */
  get event() {
    return this.#event;
  }

  /** Shows an event; with null it says that nothing is selected. */
  show(event) {
    this.#event = event;
    const panel = this.#panel;
    panel.dataset.seq = event?.seq ?? "";
    if (!event) {
      const none = element("div", "details-none", "");
      none.append(element("p", "", "Nothing is selected."), element("p", "hint", "Select an event to see what it carries."));
      panel.replaceChildren(none);
      return;
    }
    const parts = members(event.raw);
    const place = (name) => element("div", name, "");
    const content = [this.#head(event, parts), this.#fields(event, parts), place("decision-slot"), place("decided-slot")];
    if (event.lost) {
      content.push(element("p", "notice", "What this step carries is no longer kept by this page. It can still be decided."));
    } else {
      content.push(divergenceSection(parts, this.#get, (path) => this.#tools.ignore(event, path)), place("carried"), metadata(parts), rawEvent(event));
    }
    panel.replaceChildren(...content.filter(Boolean));
    panel.scrollTop = 0;
    this.#carried(event, parts);
    this.#decided(event);
  }

  /** The hold of an event, or what was decided about it, has changed. */
  changed(event) {
    if (this.#event !== event) return;
    const list = this.#panel.querySelector("dl.fields");
    list.querySelector("[data-field=hold]")?.remove();
    const line = holdLine(event, this.#tools);
    if (line) list.prepend(line);
    this.#decided(event);
  }

  /** An event has come: it may close what is shown. */
  came(event) {
    if (!this.#event || this.#event.lost || this.#nodes.other(this.#event.seq) !== event.seq) return;
    const parts = members(this.#event.raw);
    this.#panel.querySelector("dl.fields").replaceWith(this.#fields(this.#event, parts));
    // What somebody reads stays as it is: folds, scroll and focus.
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
    if (origin !== "live") heading.append(" ", element("span", "origin", ORIGINS[origin] ?? clip(visible(origin), 40)));
    const head = element("div", "details-head", "");
    const actions = element("div", "details-actions", "");
    actions.append(button("Break here", "plain", () => this.#tools.breakHere(event)));
    if (!event.lost) {
      const fork = button("Fork from here", "plain", () => this.#tools.fork(event));
      fork.setAttribute("aria-haspopup", "dialog");
      fork.setAttribute("aria-keyshortcuts", "f");
      fork.title = "Run the agent again up to this step from the record, and go on from here with something else (f)";
      actions.append(fork);
    }
    head.append(heading, actions);
    return head;
  }

  #fields(event, parts) {
    const list = element("dl", "fields", "");
    const hold = holdLine(event, this.#tools);
    if (hold) list.append(hold);
    for (const [key, label, format] of FIELDS) {
      const raw = parts.get(key);
      if (raw === undefined || raw === "null" || raw === '""') continue;
      // A step that reports no start began when it was recorded; saying that twice tells nothing, and that a step was
      // reported live is what everybody takes for granted.
      if (key === "start_ts" && raw === parts.get("ts")) continue;
      if ((key === "run_end" && raw === "false") || (key === "origin" && raw === '"live"')) continue;
      const plain = raw.startsWith('"') ? visible(JSON.parse(raw)) : raw;
      const made = field(key, label, (format && format(raw)) || clip(plain, 500), format ? raw : "");
      if (key === "node_id") this.#link(made, this.#nodes.other(event.seq), OPENS.has(event.type) ? "closed by" : "opened by");
      if (key === "source_seq") {
        const source = this.#get(Number(raw));
        if (source) made.lastChild.replaceChildren(goTo(source));
      }
      if (key === "parent_id") this.#link(made, this.#nodes.above(event.seq), "");
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

  /** From the opening of a node to its end, less the time that its opening was held: nobody worked then. */
  #wallTime(event, parts) {
    const other = this.#get(this.#nodes.other(event.seq));
    if (!other) return null;
    const [opening, closing] = OPENS.has(event.type) ? [event, other] : [other, event];
    const at = (one) => Number((one === event ? parts : members(one.raw)).get("ts"));
    const held = opening.decision ? Number(members(opening.decision.raw).get("held_ms")) || 0 : 0;
    const ms = (at(closing) - at(opening)) * 1000 - held;
    if (!(ms >= 0)) return null;
    return field("wall", "Wall time", duration(ms) + (held >= 1 ? `, and ${duration(held)} held` : ""), "");
  }

  /** What the event carries, and beside it what belongs to it. */
  #carried(event, parts) {
    const place = this.#panel.querySelector(".carried");
    if (!place) return;
    const data = parts.get("data") ?? "{}";
    const other = this.#get(this.#nodes.other(event.seq));
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

  /** One half of a tool's call: `one` is the event that has it, which may not be the one shown, or not be there. */
  #side(event, one, title) {
    if (!one) {
      const missing = title === "Output" ? "Not there yet: it shows here when it comes." : "What was called is not kept any more.";
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
    const earlier = event.type === "prompt" ? this.#nodes.promptsBefore(event.seq).map((seq) => this.#get(seq)).filter(Boolean) : [];
    const before = goesOnWith(found, earlier.map((one) => ({ seq: one.seq, data: members(one.raw).get("data") ?? "{}" })));
    const hint = element("span", "hint", "");
    const draw = (compared) => {
      const { list, said } = messageList(found, compared?.then);
      hint.textContent = [said, ...found.notes.map((note) => clip(visible(note), 60))].join(" · ");
      if (compared) hint.append(" · since ", goTo(this.#get(compared.seq)));
      section.replaceChildren(bar, list);
    };
    bar.append(title, hint);
    if (before) {
      let comparing = true;
      const toggle = button("Show all", "plain", () => {
        comparing = !comparing;
        toggle.textContent = comparing ? "Show all" : "Show what changed";
        draw(comparing ? before : null);
      });
      bar.append(toggle);
    }
    draw(before);
    return section;
  }

  /** The answer of a prompt as it came, or, folded, what an answer was asked by. */
  #counterpart(event, other) {
    const opening = OPENS.has(event.type);
    const title = opening ? (other.type === "error" ? "Error" : "Answer") : "Asked by";
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
    this.#tools.decide(this.#panel.querySelector(".decision-slot"), event);
    const slot = this.#panel.querySelector(".decided-slot");
    if (!event.decision || event.decision.action === "proceed" || slot.dataset.shows === event.decision.raw) return;
    slot.dataset.shows = event.decision.raw;
    slot.replaceChildren(decidedSection(event));
  }
}
