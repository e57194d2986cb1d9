// One row of the timeline: made once, and painted again whenever its content changes. The same row serves all three
// views; timeline.css hides the parts that a view does not show.

import { clip, clock, count, duration, moment, visible, words } from "../../core/text.js";
import { barOf, workOf } from "../../model/bars.js";
import { foldOf } from "../../model/tree.js";
import { element } from "../../ui/dom.js";

/** Deeper rows are not indented further; they show their depth as a number. */
const MAX_INDENT = 10;

/** An empty row. */
export function newRow() {
  const row = element("div", "row", "");
  const label = element("span", "label", "");
  label.append(element("bdi", "name", ""), element("bdi", "snippet", ""));
  const fold = element("span", "fold", "");
  fold.setAttribute("aria-hidden", "true");
  const icon = element("span", "icon", "");
  icon.setAttribute("aria-hidden", "true");
  row.append(
    element("span", "seq", ""), fold, icon, element("span", "type", ""), label,
    element("span", "origin", ""), element("span", "warning", ""), element("span", "badge", ""), element("bdi", "run", ""), element("span", "took", ""),
    element("time", "time", ""), element("span", "track", ""),
  );
  return row;
}

/**
 * Paints a row. `how` is `{view, tree, size, selected, focused, search, axis, now, waiting, cursor, runInfo(id)}`: `tree`
 * says that rows have levels, `size` how many there are where they have none.
 */
export function paintRow(row, item, how) {
  const isRun = Boolean(item.items);
  row.item = item;
  set(row, "data-view", how.view);
  set(row, "tabindex", item === how.focused ? 0 : -1);
  set(row, "aria-selected", isRun ? null : String(how.isSelected(item)));
  set(row, "role", how.tree ? "treeitem" : "option");
  set(row, "aria-level", how.tree ? item.level : null);
  set(row, "aria-posinset", how.tree ? item.place : item.index + 1);
  set(row, "aria-setsize", how.tree ? item.group.size : how.size);
  const fold = how.tree ? foldOf(item) : null;
  set(row, "aria-expanded", fold ? String(!fold.folded) : null);
  const depth = how.tree ? Math.min(item.level - 1, MAX_INDENT) : 0;
  if (row.depth !== depth) row.style.setProperty("--depth", (row.depth = depth));
  const classes = isRun ? paintRun(row, item, how) : paintEvent(row, item, how);
  if (how.searching && item.hit) classes.push("hit");
  if (how.searching && how.onlyHits && !item.hit && !isRun) classes.push("miss");
  // All classes in one change: the browser recomputes styles with each.
  set(row, "class", classes.join(" "));
  if (how.tree) paintTimes(row, item, how);
}

function paintEvent(row, event, how) {
  const classes = ["row"];
  set(row, "data-seq", event.seq);
  set(row, "data-type", event.type);
  set(row, "data-run", null);
  if (event.name) classes.push("named");
  text(row, ".seq", String(event.seq));
  text(row, ".type", words(event.type));
  const deep = how.tree && event.level - 1 > MAX_INDENT ? `${event.level - 1} deep` : "";
  set(row.querySelector(".type"), "data-deep", deep || null);
  text(row, ".name", event.name);
  text(row, ".snippet", event.snippet);
  text(row, ".run", how.tree ? "" : event.run);
  text(row, ".origin", event.origin === "live" ? "" : event.origin);
  paintWarning(row, event.warnings);
  const time = text(row, ".time", event.ts === undefined || how.tree ? "" : clock(event.ts));
  time.dateTime = event.ts === undefined || how.tree ? "" : moment(event.ts);
  if (!how.tree && event.seq === how.cursor) classes.push("cursor");
  const held = how.merged ? heldIn(event) : event;
  const badge = row.querySelector(".badge");
  const { outcome, action } = event.decision ?? {};
  const decided = action && action !== "proceed" ? action : outcome;
  text(row, ".badge", held.held ? "held" : decided ? words(decided) : "");
  set(badge, "data-state", held.held ? "held" : decided ? "decided" : "");
  if (held.held) classes.push("held");
  if (held.held === "next") classes.push("next");
  if (how.merged && event.node?.head === event && event.node.tail.some(({ type }) => type === "error")) classes.push("failed");
  return classes;
}

/** The mark of an event that the server found something wrong with: its details have the sentences. */
function paintWarning(row, warnings) {
  const mark = text(row, ".warning", warnings.length ? count(warnings.length, "warning") : "");
  set(mark, "title", warnings.length ? warnings.slice(0, 3).join("\n") : null);
}

function paintRun(row, run, how) {
  const { finished, mode, imported, forked_from: source } = how.runInfo(run.runId) ?? {};
  const waits = how.waiting.has(run);
  set(row, "data-seq", null);
  set(row, "data-type", null);
  set(row, "data-run", run.runId);
  text(row, ".seq", "");
  text(row, ".type", "");
  text(row, ".name", run.runId === "" ? "Default run" : run.name);
  const state = waits ? "" : finished ? "finished" : mode ? words(mode) : "";
  text(row, ".snippet", [count(run.count, "event"), state].filter(Boolean).join(" · "));
  text(row, ".run", "");
  text(row, ".origin", imported ? "imported" : source ? `fork of ${clip(visible(source.run_id || "default run"), 24)}` : "");
  paintWarning(row, []);
  text(row, ".time", "").dateTime = "";
  const badge = text(row, ".badge", waits && run.folded ? "held" : "");
  set(badge, "data-state", badge.textContent);
  return waits && run.folded ? ["row", "root", "held"] : ["row", "root"];
}

function paintTimes(row, item, how) {
  const bar = barOf(item, how.now, how.waiting);
  const work = workOf(item, bar);
  const shows = item.items || item.node?.head === item || !item.node?.head;
  text(row, ".took", shows ? (Number.isNaN(work) ? (bar.open ? "…" : "") : duration(work)) : "");
  if (how.view === "waterfall") paintTrack(row, bar, work, how.axis);
}

/** The bar, and the time held in it. Most rows keep their bar when they are painted again. */
function paintTrack(row, bar, work, axis) {
  const drawn = `${axis.stamp} ${bar.from} ${bar.to} ${bar.open} ${bar.held}`;
  if (row.drawn === drawn) return;
  row.drawn = drawn;
  const track = row.querySelector(".track");
  const pieces = [];
  const place = (className, from, to) => {
    const [left, right] = [axis.at(from), axis.at(to)];
    if (right < 0 || left > 1) return;
    const piece = track.children[pieces.length] ?? element("span", "", "");
    const [start, end] = [Math.max(left, -0.01), Math.min(right, 1.01)];
    piece.className = className;
    piece.style.left = `${start * 100}%`;
    piece.style.width = `${(end - start) * 100}%`;
    pieces.push(piece);
  };
  place(bar.point ? "point" : bar.open ? "work open" : "work", bar.from, bar.to);
  for (const [from, to] of bar.held) place("wait", from, to);
  if (track.children.length !== pieces.length || pieces.some((piece) => !piece.parentElement)) track.replaceChildren(...pieces);
  const times = [Number.isNaN(work) ? "" : `took ${duration(work)}`, bar.heldFor > 0.0005 ? `held ${duration(bar.heldFor * 1000)}` : ""];
  track.title = [`starts at ${axis.text(bar.from)}`, ...times].filter(Boolean).join(", ");
}

/** The held event of the node that this event opens; otherwise the event itself. */
export function heldIn(event) {
  if (event.held || event.node?.head !== event) return event;
  return event.node.tail.find(({ held }) => held) ?? event;
}

function text(row, part, content) {
  const found = row.querySelector(part);
  if (found.textContent !== content) found.textContent = content;
  return found;
}

function set(target, name, value) {
  if (value === null) target.removeAttribute(name);
  else if (target.getAttribute(name) !== String(value)) target.setAttribute(name, value);
}
