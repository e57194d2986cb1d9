// Two runs in figures, one below the other, and their differences.

import { clip, count, duration, visible } from "../../core/text.js";
import { signed } from "../../model/comparison.js";
import { element } from "../../ui/dom.js";

const FIGURES = [
  ["Events", "events"],
  ["Prompts", "prompts"],
  ["Tool calls", "tool_calls"],
  ["Errors", "errors"],
  ["Tokens", "tokens"],
  ["Time", "elapsed_ms", duration],
];

/** The table, and a line with the number of equal and different steps. */
export function figures({ left, right, equal, changed, only_left: onlyLeft, only_right: onlyRight }, names) {
  const table = element("table", "figures", "");
  const head = element("thead", "", "");
  head.append(cells("th", ["Run", ...FIGURES.map(([label]) => label), "Models"]));
  const body = element("tbody", "", "");
  for (const [side, run] of [["left", left], ["right", right]]) {
    const row = cells("td", ["", ...FIGURES.map(([, key, say = number]) => say(run[key])), run.models.map((one) => clip(visible(one), 60)).join(", ") || "–"]);
    row.dataset.side = side;
    const name = element("th", "", "");
    name.scope = "row";
    name.append(element("bdi", "", names[side]));
    row.firstChild.replaceWith(name);
    const tokens = row.children[5];
    if (run.input_tokens || run.output_tokens) tokens.title = `${number(run.input_tokens)} in, ${number(run.output_tokens)} out`;
    body.append(row);
  }
  const models = left.models.join() === right.models.join() ? "" : "differ";
  const row = cells("td", ["", ...FIGURES.map(([, key, say]) => signed(left[key], right[key], say)), models]);
  row.className = "by";
  const name = element("th", "", "Difference");
  name.scope = "row";
  row.firstChild.replaceWith(name);
  body.append(row);
  table.append(head, body);
  const whole = element("div", "figures-scroll", "");
  whole.tabIndex = 0;
  whole.setAttribute("role", "region");
  whole.setAttribute("aria-label", "Figures of both runs");
  const parts = [count(equal, "equal step"), changed && `${number(changed)} changed`, onlyLeft && `${number(onlyLeft)} only in the left run`, onlyRight && `${number(onlyRight)} only in the right run`];
  whole.append(table, element("p", "hint", parts.filter(Boolean).join(" · ")));
  return whole;
}

function cells(tag, texts) {
  const row = element("tr", "", "");
  for (const text of texts) {
    const cell = element(tag, "", text);
    if (tag === "th") cell.scope = "col";
    row.append(cell);
  }
  return row;
}

function number(n) {
  return n.toLocaleString("en");
}
