// One row of a comparison, in two columns, and the details of the selected pair, side by side.

import { members } from "../../core/json.js";
import { clip, count, visible, words } from "../../core/text.js";
import { diffView, fieldDiff } from "../../ui/diffview.js";
import { button, element } from "../../ui/dom.js";
import { jsonSection } from "../../ui/sections.js";

const MARKS = new Map([["equal", "="], ["changed", "≠"], ["left", "−"], ["right", "+"]]);
const KINDS = new Map([["equal", "equal"], ["changed", "changed"], ["left", "only in the left run"], ["right", "only in the right run"]]);

/** An empty row. */
export function newComparedRow() {
  const row = element("div", "row compared", "");
  row.setAttribute("role", "treeitem");
  const side = (name) => {
    const cell = element("span", `side ${name}`, "");
    cell.append(element("span", "seq", ""), element("span", "type", ""), element("bdi", "what", ""));
    return cell;
  };
  const mark = element("span", "mark", "");
  mark.append(Object.assign(element("span", "", ""), { ariaHidden: "true" }), element("span", "visually-hidden", ""));
  row.append(side("left"), mark, side("right"), element("span", "stretch", ""));
  return row;
}

/** Draws a row. `get(seq)` returns an event of the trace. */
export function paintComparedRow(row, item, { get, selected, focused }) {
  row.item = item;
  row.dataset.kind = item.kind;
  row.tabIndex = item === focused ? 0 : -1;
  row.ariaLevel = item.level;
  row.ariaPosInSet = item.place;
  row.ariaSetSize = item.size;
  row.ariaSelected = String(item === selected);
  row.classList.toggle("folds", Boolean(item.pairs));
  row.classList.toggle("inside", item.level > 1);
  const [sign, spoken] = row.querySelector(".mark").children;
  sign.textContent = MARKS.get(item.kind) ?? "?";
  spoken.textContent = item.pairs ? "" : ` ${KINDS.get(item.kind) ?? words(item.kind)} `;
  const stretch = row.querySelector(".stretch");
  if (item.pairs) {
    row.ariaExpanded = String(item.open);
    stretch.textContent = stretchText(item);
  } else {
    row.removeAttribute("aria-expanded");
    stretch.textContent = "";
  }
  for (const name of ["left", "right"]) {
    const cell = row.querySelector(`.side.${name}`);
    const seq = item.pairs ? undefined : item[name];
    const event = get(seq);
    cell.dataset.type = event?.type ?? "";
    cell.classList.toggle("none", seq === undefined);
    const [number, type, what] = cell.children;
    number.textContent = seq === undefined ? "" : `#${seq}`;
    type.textContent = event ? words(event.type) : "";
    what.textContent = event ? event.name || event.snippet : seq === undefined ? "" : "not kept by this page";
  }
}

function stretchText({ kind, pairs }) {
  const n = pairs.length;
  if (kind === "equal") return count(n, "equal step");
  return `${count(n, "step")} ${KINDS.get(kind)}`;
}

/** The details of a pair: its differences, and the data of both sides. `show(seq)` selects a step in the timeline. */
export function pairDetails(pair, get, names, show) {
  const [left, right] = [get(pair.left), get(pair.right)];
  const one = left ?? right;
  const head = element("h2", "details-title", "");
  head.dataset.type = one?.type ?? "";
  head.append(element("span", "type", one ? words(one.type) : "step"));
  if (one?.name) head.append(" ", element("bdi", "name", one.name));
  head.append(" ", element("span", "origin", KINDS.get(pair.kind) ?? words(pair.kind)));
  const made = [head];
  const data = (event) => members(event.raw).get("data") ?? "{}";
  if (pair.fields.length) made.push(differences(pair.fields, names));
  else if (pair.kind === "changed" && left && right) {
    const section = element("section", "payload", "");
    const bar = element("div", "payload-bar", "");
    bar.append(element("h3", "", "Differences in the data"));
    section.append(bar, diffView(data(left), data(right), { json: true }));
    made.push(section);
  }
  const sides = element("div", "pair sides", "");
  for (const [name, seq, event] of [["left", pair.left, left], ["right", pair.right, right]]) {
    const side = element("div", "", "");
    if (event) {
      side.append(jsonSection(`#${seq}`, data(event), true));
      const bar = side.querySelector(".payload-bar");
      const title = element("h3", "", "");
      const go = button(`#${seq}`, "plain link", () => show(seq));
      go.setAttribute("aria-label", `Show step ${seq} in the timeline`);
      title.append(go, " ", element("bdi", "hint", names[name]));
      bar.firstChild.replaceWith(title);
    } else {
      const why = seq === undefined ? `${names[name]} has no such step.` : `#${seq} is not kept by this page.`;
      side.append(element("p", "missing", why));
    }
    sides.append(side);
  }
  made.push(sides);
  return made;
}

function differences(fields, names) {
  const section = element("section", "payload", "");
  const bar = element("div", "payload-bar", "");
  const legend = element("span", "hint", "");
  legend.append("− ", element("bdi", "", names.left), "  + ", element("bdi", "", names.right));
  bar.append(element("h3", "", "Differences"), legend);
  section.append(bar);
  for (const { path, left, right } of fields) {
    const head = element("div", "field-bar", "");
    head.append(element("code", "", clip(visible(String(path)), 200)));
    section.append(head, fieldDiff(left, right));
  }
  return section;
}
