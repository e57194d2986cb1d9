// The search box over the timeline: hits are counted and highlighted, and can be visited one by one.

import { count, visible } from "../../core/text.js";

/** A pause in typing after which the search begins. */
const PAUSE_MS = 80;

export class SearchBar {
  #search;
  #timeline;
  #hits;
  #choose;
  #announce;
  #at = (id) => document.getElementById(id);
  #timer = 0;
  #announced = false;

  /** `hits()` returns the hits in order, `choose(event)` goes to one, `announce(text)` speaks to screen readers. */
  constructor({ search, timeline, hits, choose, announce }) {
    this.#search = search;
    this.#timeline = timeline;
    this.#hits = hits;
    this.#choose = choose;
    this.#announce = announce;
    const box = this.#at("find");
    box.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#find(box.value), PAUSE_MS);
    });
    box.addEventListener("keydown", (key) => {
      if (key.key === "Enter" && !key.isComposing) {
        this.go(key.shiftKey ? -1 : 1);
      } else if (key.key === "Escape") {
        this.clear();
        timeline.focus();
      } else if (key.key === "ArrowDown") {
        timeline.focus();
      } else {
        return;
      }
      key.preventDefault();
    });
    this.#at("find-next").addEventListener("click", () => this.go(1));
    this.#at("find-previous").addEventListener("click", () => this.go(-1));
    this.#at("find-only").addEventListener("click", () => this.#only(this.#at("find-only").getAttribute("aria-pressed") !== "true"));
    this.#at("find-clear").addEventListener("click", () => {
      this.clear();
      box.focus();
    });
    addEventListener("keydown", (key) => {
      if (key.key !== "F3" || !this.#search.active || document.querySelector("dialog[open]")) return;
      key.preventDefault();
      this.go(key.shiftKey ? -1 : 1);
    });
  }

  focus() {
    this.#at("find").focus();
    this.#at("find").select();
  }

  /** To the next hit after the selected event, or before it with -1; past the last one comes the first. */
  go(by) {
    if (this.#timer) this.#find(this.#at("find").value);
    const hits = this.#hits();
    if (hits.length === 0) return;
    const from = this.#timeline.selected?.seq ?? 0;
    const after = hits.findIndex(({ seq }) => (by > 0 ? seq > from : seq >= from));
    const next = by > 0 ? (after < 0 ? 0 : after) : (after < 0 ? hits.length : after) - 1;
    const hit = hits.at(next);
    this.#choose(hit);
    this.#announce(`Hit ${hits.indexOf(hit) + 1} of ${hits.length}.`);
  }

  /** Ends the search. */
  clear() {
    this.#at("find").value = "";
    this.#find("");
  }

  /** Shows the number of hits, and highlights them in the rows in sight. */
  draw() {
    const { active, busy } = this.#search;
    const hits = active ? this.#hits() : [];
    const at = hits.indexOf(this.#timeline.selected);
    const many = hits.length.toLocaleString("en");
    const text = !active ? "" : hits.length === 0 ? (busy ? "…" : "No hits") : `${at < 0 ? "" : `${(at + 1).toLocaleString("en")} of `}${many}${busy ? "…" : ""}`;
    if (this.#at("find-count").textContent !== text) this.#at("find-count").textContent = text;
    for (const id of ["find-next", "find-previous"]) this.#at(id).disabled = hits.length === 0;
    for (const id of ["find-only", "find-clear"]) this.#at(id).hidden = !active;
    const none = active && !busy && hits.length === 0 && this.#at("find-only").getAttribute("aria-pressed") === "true";
    this.#at("nothing-found").hidden = !none;
    if (none) this.#at("nothing-found-text").textContent = visible(this.#search.text);
    // Once for each search, however many hits follow.
    if (!busy && active && !this.#announced) {
      this.#announced = true;
      this.#announce(hits.length === 0 ? "No hits." : `${count(hits.length, "hit")}.`);
    }
    this.mark();
  }

  /** Highlights the words found, without changing the rows. In browsers without highlights only the rows are marked. */
  mark() {
    if (!globalThis.Highlight) return;
    const ranges = [];
    for (const pattern of this.#search.highlighted) {
      const all = new RegExp(pattern.source, "gi");
      for (const [item, row] of this.#timeline.rendered()) {
        if (!item.hit) continue;
        for (const part of row.querySelectorAll(".name, .snippet, .type")) {
          const node = part.firstChild;
          if (!node) continue;
          for (const found of node.data.matchAll(all)) {
            if (!found[0]) break;
            const range = new Range();
            range.setStart(node, found.index);
            range.setEnd(node, found.index + found[0].length);
            ranges.push(range);
          }
        }
      }
    }
    CSS.highlights.set("found", new Highlight(...ranges));
  }

  #find(text) {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#announced = false;
    if (!text.trim()) this.#only(false);
    this.#search.find(text);
  }

  #only(only) {
    this.#at("find-only").setAttribute("aria-pressed", String(only));
    this.#timeline.setOnlyHits(only);
    this.draw();
  }
}
