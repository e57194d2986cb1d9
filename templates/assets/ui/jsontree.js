// JSON as a tree, folded and navigated as in the developer tools of a browser.
//
// The text is kept as it was received, and read level by level: a closed node has no elements, and costs nothing. What the
// tree shows, read from top to bottom, is the JSON itself, digit for digit.

import { entries } from "../core/json.js";
import { clip, count, visible, visibleJson, visibleLines } from "../core/text.js";
import { copyButton } from "./clipboard.js";
import { button, element } from "./dom.js";
import { blocks } from "./longtext.js";

/** The number of lines that are open at the start. */
const OPEN_LINES = 60;
/** A level with more entries is shown in portions of this size. */
const PORTION = 200;
/** Longer strings are cut; the rest is shown on demand. */
const STRING = 600;
/** A closed node up to this size shows the number of its entries, which have to be read for that; a larger one its size. */
const COUNTED = 100_000;
/** Levels below this depth are not indented further, so that no depth pushes the text out of sight. */
const INDENTED = 14;

/** A tree of `raw`, which is valid JSON. `label` names it for a screen reader; `open` false keeps it closed. */
export function jsonTree(raw, { label, open = true }) {
  const whole = element("div", "json-view", "");
  const tree = element("div", "json tree", "");
  tree.setAttribute("role", "tree");
  tree.setAttribute("aria-label", label);
  tree.dir = "ltr";
  const bar = element("div", "json-bar", "");
  bar.hidden = true;
  whole.append(tree, bar);
  new Tree(raw, tree, bar, open);
  return whole;
}

class Tree {
  #raw;
  #tree;
  #bar;
  #nodes = new WeakMap();
  #current = null;

  constructor(raw, tree, bar, open) {
    this.#raw = raw;
    this.#tree = tree;
    this.#bar = bar;
    const from = raw.search(/[^ \t\r\n]/);
    const root = this.#node({ key: null, from: Math.max(from, 0), to: raw.trimEnd().length }, null, 0, 1);
    root.element.tabIndex = 0;
    tree.append(root.element);
    if (open) this.#openSome(root);
    tree.addEventListener("keydown", (key) => this.#onKey(key));
    tree.addEventListener("click", (click) => this.#onClick(click));
    tree.addEventListener("focusin", (focus) => this.#choose(this.#of(focus.target), false));
    tree.addEventListener("copy", (copied) => {
      if (!this.#current || !getSelection().isCollapsed) return;
      copied.clipboardData.setData("text/plain", this.#value(this.#current));
      copied.preventDefault();
    });
  }

  /** The first lines, level by level. */
  #openSome(root) {
    let lines = 1;
    for (let level = [root]; level.length; ) {
      const next = [];
      for (const node of level) {
        if (!node.opens) continue;
        const size = this.#entries(node).length;
        if (node !== root && lines + size > OPEN_LINES) continue;
        lines += size + 1;
        this.#open(node);
        next.push(...node.children);
      }
      level = next;
    }
  }

  #node(entry, parent, index, size) {
    const first = this.#raw[entry.from];
    const node = { ...entry, parent, index, size, first, level: parent ? parent.level + 1 : 1, children: null, last: null, more: null, memory: null, whole: false };
    node.opens = (first === "{" || first === "[") && !/^[[{]\s*[\]}]$/.test(this.#raw.slice(entry.from, Math.min(entry.to, entry.from + 40)));
    const made = element("div", "line", "");
    node.element = made;
    made.setAttribute("role", "treeitem");
    indent(made, node.level);
    made.ariaLevel = node.level;
    made.ariaSetSize = size;
    made.ariaPosInSet = index + 1;
    made.tabIndex = -1;
    if (node.opens) made.ariaExpanded = "false";
    this.#nodes.set(made, node);
    this.#draw(node);
    return node;
  }

  /** The line of a node, without its children: they follow it, so that the text of the line is its accessible name. */
  #draw(node) {
    const line = node.element;
    line.textContent = "";
    if (node.key !== null) line.append(element("span", "key", visibleJson(node.key)), ": ");
    if (node.opens) {
      line.classList.add("opens");
      line.append(node.first);
      const tail = element("span", "tail", closing(node));
      tail.dataset.inside = this.#inside(node);
      line.append(tail);
    } else if (node.first === '"') {
      this.#string(node, line, comma(node));
    } else {
      const kind = node.first === "{" || node.first === "[" ? "" : /[-\d]/.test(node.first) ? "number" : "word";
      line.append(element("span", kind, this.#raw.slice(node.from, node.to)), comma(node));
    }
  }

  #string(node, line, after) {
    const length = node.to - node.from;
    const cut = length > STRING;
    const piece = this.#raw.slice(node.from, cut ? node.from + STRING : node.to);
    if (node.whole) {
      line.append('"', blocks(visibleLines(JSON.parse(this.#raw.slice(node.from, node.to))), "prose"), `"${after}`);
    } else {
      // The cut must not split an escape sequence.
      line.append(element("span", "string", visibleJson(cut ? piece.replace(/\\u?[0-9a-fA-F]{0,3}$/, "") : piece)), cut ? "…" : after);
    }
    if (!cut && !piece.includes("\\n")) return;
    const text = node.whole ? "Show less" : cut ? `Show all ${count(length - 2, "character")}` : "Show as text";
    const toggle = button(text, "plain", () => this.#toggle(node));
    toggle.tabIndex = -1;
    line.append(" ", toggle);
  }

  #inside(node) {
    const size = node.to - node.from;
    if (size > COUNTED) return `${Math.round(size / 1000).toLocaleString("en")} kB`;
    return count(this.#entries(node).length, node.first === "{" ? "key" : "item");
  }

  #entries(node) {
    return (node.entries ??= entries(this.#raw, node.from));
  }

  #open(node) {
    if (node.children) return;
    node.children = [];
    node.element.ariaExpanded = "true";
    node.element.querySelector(".tail").textContent = "";
    node.last = element("div", "line", closing(node));
    node.last.setAttribute("aria-hidden", "true");
    indent(node.last, node.level);
    node.element.after(node.last);
    this.#portion(node);
    for (const [index, memory] of node.memory ?? []) {
      const child = node.children[index];
      if (!child) continue;
      child.memory = memory;
      this.#open(child);
    }
  }

  /** The next entries of a node, before the line that closes it. */
  #portion(node) {
    const all = this.#entries(node);
    const from = node.children.length;
    for (const entry of all.slice(from, from + PORTION)) {
      const child = this.#node(entry, node, node.children.length, all.length);
      node.children.push(child);
      node.last.before(child.element);
    }
    node.more?.remove();
    node.more = null;
    const rest = all.length - node.children.length;
    if (rest <= 0) return;
    node.more = element("div", "line", "");
    node.more.setAttribute("role", "treeitem");
    node.more.ariaLevel = node.level + 1;
    node.more.tabIndex = -1;
    indent(node.more, node.level + 1);
    const next = button(`Show ${Math.min(rest, PORTION).toLocaleString("en")} more of ${rest.toLocaleString("en")}`, "plain", () => {
      const first = node.children.length;
      this.#portion(node);
      this.#choose(node.children[first], true);
    });
    next.tabIndex = -1;
    node.more.append(next);
    node.last.before(node.more);
  }

  #close(node) {
    if (!node.children) return;
    const held = this.#tree.contains(document.activeElement);
    node.memory = remembered(node);
    this.#remove(node);
    node.element.ariaExpanded = "false";
    this.#draw(node);
    if (this.#current && !this.#current.element.isConnected) this.#choose(node, held);
    else if (held && !this.#tree.contains(document.activeElement)) node.element.focus({ preventScroll: true });
  }

  #remove(node) {
    for (const child of node.children ?? []) {
      this.#remove(child);
      child.element.remove();
    }
    node.last?.remove();
    node.more?.remove();
    node.children = node.last = node.more = null;
  }

  #toggle(node) {
    if (node.opens) {
      if (node.children) this.#close(node);
      else this.#open(node);
    } else if (node.first === '"') {
      const held = node.element.contains(document.activeElement);
      node.whole = !node.whole && node.element.querySelector("button") !== null;
      this.#draw(node);
      if (held) node.element.focus({ preventScroll: true });
    }
  }

  #of(target) {
    return this.#nodes.get(target.closest("[role=treeitem]"));
  }

  #onClick(click) {
    const node = this.#of(click.target);
    if (!node || click.target.closest("button")) return;
    this.#choose(node, true);
    if (click.target.closest(".opens") && getSelection().isCollapsed) this.#toggle(node);
  }

  #onKey(key) {
    if (key.ctrlKey || key.metaKey || key.altKey || key.shiftKey) return;
    const item = key.target.closest("[role=treeitem]");
    const node = this.#nodes.get(item);
    const all = [...this.#tree.querySelectorAll("[role=treeitem]")];
    const at = all.indexOf(item);
    const go = (to) => to && (this.#nodes.has(to) ? this.#choose(this.#nodes.get(to), true) : this.#focusMore(to));
    if (key.key === "ArrowDown") go(all[at + 1]);
    else if (key.key === "ArrowUp") go(all[at - 1]);
    else if (key.key === "Home") go(all[0]);
    else if (key.key === "End") go(all.at(-1));
    else if (key.key === "Enter" || key.key === " ") node ? this.#toggle(node) : item.querySelector("button").click();
    else if (key.key === "ArrowRight") {
      if (node?.opens && !node.children) this.#open(node);
      else if (node?.children) go(node.children[0].element);
    } else if (key.key === "ArrowLeft") {
      if (node?.children) this.#close(node);
      else go((node?.parent ?? this.#above(item))?.element);
    } else return;
    key.preventDefault();
  }

  /** The node that a "show more" line belongs to. */
  #above(item) {
    for (let before = item.previousElementSibling; before; before = before.previousElementSibling) {
      if (Number(before.ariaLevel) < Number(item.ariaLevel) && this.#nodes.has(before)) return this.#nodes.get(before);
    }
    return undefined;
  }

  /** Moves the keyboard to a "show more" line. */
  #focusMore(item) {
    for (const other of this.#tree.querySelectorAll("[tabindex='0']")) other.tabIndex = -1;
    item.tabIndex = 0;
    item.focus();
  }

  #choose(node, focus) {
    if (!node) return;
    if (this.#current !== node) {
      for (const other of this.#tree.querySelectorAll("[tabindex='0']")) other.tabIndex = -1;
      this.#current?.element.removeAttribute("aria-selected");
      this.#current = node;
      node.element.tabIndex = 0;
      node.element.setAttribute("aria-selected", "true");
      const path = this.#path(node);
      this.#bar.hidden = false;
      this.#bar.replaceChildren(
        element("code", "", clip(visible(path), 300)),
        copyButton(() => this.#value(node), "Copy value"),
        copyButton(() => path, "Copy path"),
      );
    }
    if (focus) node.element.focus({ preventScroll: false });
  }

  /** The text of a string; everything else as it was received. */
  #value(node) {
    const raw = this.#raw.slice(node.from, node.to);
    return node.first === '"' ? JSON.parse(raw) : raw;
  }

  /** The JSONPath (RFC 9535) of a node. */
  #path(node) {
    if (!node.parent) return "$";
    const above = this.#path(node.parent);
    if (node.key === null) return `${above}[${node.index}]`;
    const name = JSON.parse(node.key);
    if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return `${above}.${name}`;
    return `${above}['${JSON.stringify(name).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}']`;
  }
}

/** The open descendants of a node, to be opened again with it. */
function remembered(node) {
  return new Map(node.children.filter((child) => child.children).map((child) => [child.index, remembered(child)]));
}

function comma(node) {
  return node.index < node.size - 1 ? "," : "";
}

function closing(node) {
  return (node.first === "{" ? "}" : "]") + comma(node);
}

function indent(line, level) {
  line.style.setProperty("--level", Math.min(level - 1, INDENTED));
}
