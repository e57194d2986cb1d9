// An editor of JSON, which is checked while the person types, and shows the place of an error.

import { fault } from "../core/json.js";
import { visible } from "../core/text.js";
import { button, element } from "./dom.js";
import { laidOut } from "./sections.js";

/** Longer text is checked when the person pauses. */
const CHECKED_AT_ONCE = 100_000;
const PAUSE_MS = 250;

/**
 * Adds an editor of `draft[key]` to a form; `onChange()` after every change. Returns `check()`, which returns whether the
 * text is a JSON object, `put(text)`, `invalid()`, and the `bar` above it for more buttons.
 */
export function jsonField(form, draft, key, label, onChange, prefix = "decision") {
  const id = `${prefix}-${key}`;
  const bar = element("div", "payload-bar", "");
  const caption = element("label", "", `${label} (a JSON object)`);
  caption.htmlFor = id;
  bar.append(caption);
  const area = element("textarea", "code", "");
  area.id = id;
  area.spellcheck = false;
  area.rows = Math.min(18, Math.max(4, draft[key].split("\n").length + 1));
  area.value = draft[key];
  area.setAttribute("aria-describedby", `${id}-error`);
  const error = element("p", "field-error", "");
  error.id = `${id}-error`;
  const words = element("span", "", "");
  words.setAttribute("aria-live", "polite");
  let found = null;
  const tidy = button("Format", "plain", () => check() && put(laidOut(area.value)));
  tidy.title = "Format the JSON";
  bar.append(tidy);
  const show = button("Show the error", "plain", () => {
    area.focus();
    area.setSelectionRange(found.at, Math.min(found.at + 1, area.value.length));
  });
  error.append(words, " ", show);
  let timer = 0;
  const check = () => {
    clearTimeout(timer);
    found = fault(area.value);
    error.hidden = !found;
    const message = found ? `Line ${found.line}, column ${found.column}: ${visible(found.message)}` : "";
    if (words.textContent !== message) words.textContent = message;
    if (found) area.setAttribute("aria-invalid", "true");
    else area.removeAttribute("aria-invalid");
    onChange();
    return !found;
  };
  const put = (text) => {
    area.value = text;
    draft[key] = text;
    check();
  };
  area.addEventListener("input", () => {
    draft[key] = area.value;
    clearTimeout(timer);
    if (area.value.length <= CHECKED_AT_ONCE) check();
    else timer = setTimeout(check, PAUSE_MS);
  });
  form.append(bar, area, error);
  found = fault(draft[key]);
  error.hidden = true;
  if (found) queueMicrotask(check);
  return { bar, check, put, invalid: () => found !== null };
}
