// The axis of the waterfall: the range of time that is shown, its ticks, and the ways to zoom.
//
//   wheel with Ctrl: zoom at the pointer · wheel with Shift: pan · a drag over the axis: zoom to that part
//   double click: all of the time · all of these also by keys and buttons

import { tickOf, tickText } from "../../model/bars.js";
import { element } from "../../ui/dom.js";

/** The shortest range: 100 µs over the whole width. */
const LEAST = 0.0001;
/** This part of the width stays free for new events. */
const SLACK = 0.06;
/** The distance of ticks in pixels, about. */
const TICK_PX = 80;

export class Axis {
  #ruler;
  #list;
  #changed;
  #all = [0, 1];
  #part = null;
  #width = 300;
  #left = 0;
  #drawn = "";

  /** `scale` is the element of the ticks, `list` that of the rows; `changed()` when another range is to be shown. */
  constructor({ scale, list, changed }) {
    this.#list = list;
    this.#changed = changed;
    const ruler = element("div", "ruler", "");
    this.#ruler = ruler;
    ruler.setAttribute("aria-hidden", "true");
    scale.append(ruler);
    // Observed, not measured: measuring in every frame would compute the layout twice.
    new ResizeObserver(() => {
      if (ruler.clientWidth === 0) return;
      [this.#width, this.#left] = [ruler.clientWidth, ruler.offsetLeft];
      changed();
    }).observe(ruler);
    ruler.addEventListener("dblclick", () => this.fit());
    ruler.addEventListener("pointerdown", (down) => this.#drag(down, ruler));
    list.addEventListener("wheel", (wheel) => this.#wheel(wheel), { passive: false });
    scale.addEventListener("wheel", (wheel) => this.#wheel(wheel), { passive: false });
  }

  /** Whether a part is shown and not all. */
  get zoomed() {
    return this.#part !== null;
  }

  get #range() {
    return this.#part ?? this.#all;
  }

  /**
   * Sets the range of all events. While it grows, or loses its beginning, the axis stays as it is for a while, so that
   * bars keep their place and need not be drawn with every event.
   */
  cover(from, to) {
    if (!Number.isFinite(from) || !Number.isFinite(to)) [from, to] = [0, 1];
    const length = Math.max(to - from, 0.001);
    const [start, end] = this.#all;
    if (from >= start && from - start < length * SLACK && to <= end && end - to < length * 2 * SLACK) return;
    this.#all = [from, to + length * SLACK];
  }

  /** A text that changes whenever times move on the axis. */
  get stamp() {
    return `${this.#range[0]} ${this.#range[1]}`;
  }

  /** The place of a time in the width: 0 at the left edge, 1 at the right one. */
  at(time) {
    const [from, to] = this.#range;
    return (time - from) / (to - from);
  }

  /** A time as a label of the axis. */
  text(time) {
    return tickText(time - this.#all[0], this.#step() / 10);
  }

  fit() {
    this.#show(null);
  }

  /** Zooms in by a factor, or out with one below 1, around a place in the width. */
  zoom(factor, place = 0.5) {
    const [from, to] = this.#range;
    const length = Math.max((to - from) / factor, LEAST);
    const start = from + (to - from - length) * place;
    this.#show([start, start + length]);
  }

  /** Zooms around the middle of a bar if that is in sight, otherwise around the middle of the width. */
  zoomAround(bar, factor) {
    const place = bar ? (this.at(bar.from) + this.at(bar.to)) / 2 : 0.5;
    this.zoom(factor, place >= 0 && place <= 1 ? place : 0.5);
  }

  /** Pans by a part of the width. */
  pan(by) {
    if (!this.#part) return;
    const [from, to] = this.#part;
    this.#show([from + (to - from) * by, to + (to - from) * by]);
  }

  /** Zooms to a range, with some room around it. */
  frame(from, to) {
    const room = Math.max(to - from, LEAST) * 0.08;
    this.#show([from - room, to + room]);
  }

  /** Draws the ticks where they have changed. */
  draw() {
    const width = this.#width;
    const [from, to] = this.#range;
    const drawn = `${width} ${from} ${to} ${this.#all[0]}`;
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const step = this.#step();
    const zero = this.#all[0];
    const first = Math.ceil((from - zero) / step - 1e-9);
    const ticks = [];
    for (let i = first; zero + i * step <= to && ticks.length < 40; i += 1) {
      const tick = element("span", "tick", tickText(i * step, step));
      tick.style.left = `${this.at(zero + i * step) * width}px`;
      // A label that would be cut off is left out.
      if (this.at(zero + i * step) * width > width - 24) tick.textContent = "";
      ticks.push(tick);
    }
    this.#ruler.replaceChildren(...ticks);
    this.#list.style.setProperty("--tick", `${(step / (to - from)) * width}px`);
    this.#list.style.setProperty("--tick-at", `${this.#left + this.at(zero + first * step) * width}px`);
  }

  #step() {
    const [from, to] = this.#range;
    return tickOf(((to - from) * TICK_PX) / this.#width);
  }

  /** Limits the part to the range of all events; a part that covers all of it is no zoom. */
  #show(part) {
    const [from, to] = this.#all;
    if (part) {
      const length = Math.min(part[1] - part[0], to - from);
      const start = Math.min(Math.max(part[0], from), to - length);
      part = length > (to - from) * 0.999 ? null : [start, start + length];
    }
    this.#part = part;
    this.#changed();
  }

  #wheel(wheel) {
    if (this.#list.dataset.view !== "waterfall") return;
    const along = wheel.shiftKey ? wheel.deltaY || wheel.deltaX : wheel.deltaX;
    if (wheel.ctrlKey || wheel.metaKey) {
      wheel.preventDefault();
      this.zoom(Math.exp(-Math.max(-200, Math.min(200, wheel.deltaY)) / 250), this.#placeOf(wheel));
    } else if (this.#part && Math.abs(along) > (wheel.shiftKey ? 0 : Math.abs(wheel.deltaY))) {
      wheel.preventDefault();
      this.pan(along / 600);
    }
  }

  #placeOf({ clientX }) {
    const box = this.#ruler.getBoundingClientRect();
    return Math.min(1, Math.max(0, (clientX - box.left) / box.width));
  }

  #drag(down, ruler) {
    if (down.button !== 0) return;
    ruler.setPointerCapture(down.pointerId);
    const start = this.#placeOf(down);
    const mark = element("span", "dragged", "");
    ruler.append(mark);
    const move = (pointer) => {
      const [a, b] = [start, this.#placeOf(pointer)].toSorted((x, y) => x - y);
      mark.style.left = `${a * 100}%`;
      mark.style.width = `${(b - a) * 100}%`;
    };
    const end = (pointer) => {
      mark.remove();
      for (const [type, heard] of [["pointermove", move], ["pointerup", end], ["pointercancel", end]]) ruler.removeEventListener(type, heard);
      const [a, b] = [start, this.#placeOf(pointer)].toSorted((x, y) => x - y);
      const [from, to] = this.#range;
      if (pointer.type === "pointerup" && b - a > 0.01) this.#show([from + (to - from) * a, from + (to - from) * b]);
    };
    for (const [type, heard] of [["pointermove", move], ["pointerup", end], ["pointercancel", end]]) ruler.addEventListener(type, heard);
  }
}
