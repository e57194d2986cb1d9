// A list of rows of one height, of which only those in sight, and a few around them, are in the document.
//
// Rows that are added or removed above the rows in sight do not move them: the row at the top keeps its place. Rows
// trimmed above it leave an empty space (`lead`) while the person scrolls, and where nothing above could be scrolled
// away. Rows are in the document in their order; one of them, which can have the focus, stays there even out of sight.

/** Rows beyond each edge. */
const AROUND = 12;

export class VirtualList {
  items = [];
  #list;
  #canvas;
  #make;
  #paint;
  #live = new Map();
  #spare = [];
  #kept = null;
  #lead = 0;
  #height = 0;
  #scrollingUntil = 0;
  #stale = new Set();
  #restamp = true;

  /** `make()` returns a new row, `paint(row, item)` draws an item into it. */
  constructor({ list, make, paint }) {
    this.#list = list;
    this.#make = make;
    this.#paint = paint;
    this.#canvas = document.createElement("div");
    this.#canvas.className = "canvas";
    this.#canvas.setAttribute("role", "presentation");
    list.append(this.#canvas);
    this.measure();
  }

  /**
   * Reads the height of a row again, after a change of styles or text size. It is rounded to whole pixels of the screen,
   * since a list is scrolled by whole pixels: the rows in sight would drift otherwise.
   */
  measure() {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const wanted = parseFloat(getComputedStyle(this.#list).getPropertyValue("--row-height")) * rem || 28;
    const height = Math.round(wanted * devicePixelRatio) / devicePixelRatio;
    if (height === this.#height) return;
    this.#height = height;
    this.#list.style.setProperty("--row", `${height}px`);
    this.#canvas.style.height = `${(this.items.length + this.#lead) * height}px`;
    this.#restamp = true;
  }

  /** The person is scrolling. */
  scrolled() {
    this.#scrollingUntil = performance.now() + 200;
  }

  /** How many whole rows are in sight at once. */
  get page() {
    return Math.max(1, Math.floor(this.#list.clientHeight / this.#height) - 1);
  }

  /** How far the end is from being in sight, in pixels. */
  get below() {
    return this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight;
  }

  has(item) {
    return item !== null && item !== undefined && this.items[item.index] === item;
  }

  inSight(item) {
    if (!this.has(item)) return false;
    const top = this.#top(item.index) - this.#list.scrollTop;
    return top > -this.#height && top < this.#list.clientHeight;
  }

  element(item) {
    return this.#live.get(item);
  }

  /**
   * Replaces the rows. The row at the top stays there, unless `reset` says that these are other rows; where rows were
   * `trimmed` at the beginning, even if nothing is left above it.
   */
  show(items, { reset = false, trimmed = false }) {
    const { scrollTop } = this.#list;
    const anchor = reset ? null : this.#anchor(items, scrollTop);
    this.items = items;
    for (let i = 0; i < items.length; i += 1) items[i].index = i;
    if (reset) this.#clear();
    if (!anchor) this.#lead = 0;
    else this.#hold(anchor, scrollTop, trimmed);
    this.#canvas.style.height = `${(items.length + this.#lead) * this.#height}px`;
    this.#restamp = true;
  }

  /** Scrolls to the end. */
  toEnd() {
    if (this.#lead) this.#settle();
    this.#list.scrollTop = this.#list.scrollHeight;
  }

  /** Scrolls as little as is needed to have a row in sight, with a neighbour beside it; from afar to the middle. */
  reveal(item) {
    if (!this.has(item)) return;
    const { scrollTop, clientHeight } = this.#list;
    const top = this.#top(item.index);
    const [least, most] = [top + this.#height - clientHeight, top];
    const margin = clientHeight > 4 * this.#height ? this.#height : 0;
    if (scrollTop > most + clientHeight || scrollTop < least - clientHeight) this.#list.scrollTop = (least + most) / 2;
    else if (scrollTop > most - margin) this.#list.scrollTop = most - margin;
    else if (scrollTop < least + margin) this.#list.scrollTop = least + margin;
  }

  /** An item has changed since it was drawn. */
  stale(item) {
    this.#stale.add(item);
  }

  /** All of them have. */
  restyle() {
    this.#restamp = true;
  }

  /** Brings the rows in sight into the document. `kept` stays in it wherever it is. */
  render(kept) {
    this.#kept = this.has(kept) ? kept : null;
    if (this.#lead && performance.now() > this.#scrollingUntil) this.#settle();
    const { scrollTop, clientHeight } = this.#list;
    const first = Math.max(0, Math.floor(scrollTop / this.#height) - this.#lead - AROUND);
    const last = Math.min(this.items.length, Math.ceil((scrollTop + clientHeight) / this.#height) - this.#lead + AROUND);
    for (const [item, row] of this.#live) {
      const index = this.has(item) ? item.index : -1;
      if ((index >= first && index < last) || item === this.#kept) continue;
      this.#live.delete(item);
      row.remove();
      if (this.#spare.length < 64) this.#spare.push(row);
    }
    let next = this.#canvas.firstChild;
    const put = (index) => {
      const item = this.items[index];
      let row = this.#live.get(item);
      const fresh = !row;
      if (fresh) {
        row = this.#spare.pop() ?? this.#make();
        this.#live.set(item, row);
      }
      if (fresh || this.#restamp || this.#stale.has(item)) {
        this.#paint(row, item);
        const place = `translateY(${this.#top(index)}px)`;
        if (row.style.transform !== place) row.style.transform = place;
      }
      if (row === next) next = row.nextSibling;
      else this.#canvas.insertBefore(row, next);
    };
    if (this.#kept && this.#kept.index < first) put(this.#kept.index);
    for (let i = first; i < last; i += 1) put(i);
    if (this.#kept && this.#kept.index >= last) put(this.#kept.index);
    this.#stale.clear();
    this.#restamp = false;
  }

  /** The rows in the document. */
  *rendered() {
    yield* this.#live;
  }

  #top(index) {
    return (index + this.#lead) * this.#height;
  }

  #clear() {
    for (const row of this.#live.values()) row.remove();
    this.#live.clear();
    this.#spare = [];
    this.#lead = 0;
  }

  /** The first row in sight that stays, and how far from the upper edge it is. */
  #anchor(items, scrollTop) {
    const coming = new Set(items.length < this.items.length ? items : []);
    const stays = (item) => (coming.size ? coming.has(item) : !item.gone);
    const from = Math.max(0, Math.floor(scrollTop / this.#height) - this.#lead);
    const until = Math.min(this.items.length, from + this.page + 2);
    for (let i = from; i < until; i += 1) {
      if (stays(this.items[i])) return { item: this.items[i], y: this.#top(i) - scrollTop };
    }
    return null;
  }

  #hold({ item, y }, scrollTop, trimmed) {
    if (!this.has(item) || (!trimmed && this.#lead === 0 && this.#top(item.index) < y)) {
      this.#lead = 0;
      return;
    }
    const wanted = this.#top(item.index) - y;
    const moved = Math.round((wanted - scrollTop) / this.#height);
    if (moved === 0) return;
    if (trimmed || moved > 0) this.#lead = Math.max(0, this.#lead - moved);
    const rest = this.#top(item.index) - y - scrollTop;
    // The canvas has to be as high as that before it can be scrolled to.
    this.#canvas.style.height = `${(this.items.length + this.#lead) * this.#height}px`;
    if (Math.abs(rest) > 0.5) this.#list.scrollTop = scrollTop + rest;
  }

  /** Removes the empty space as far as that moves no row in sight; all of it, where nothing else is in sight. */
  #settle() {
    const { scrollTop, clientHeight } = this.#list;
    const above = Math.floor(scrollTop / this.#height);
    const take = above < this.#lead && (this.#lead - above) * this.#height >= clientHeight ? this.#lead : Math.min(this.#lead, above);
    if (take === 0) return;
    this.#lead -= take;
    this.#list.scrollTop = Math.max(0, scrollTop - take * this.#height);
    this.#canvas.style.height = `${(this.items.length + this.#lead) * this.#height}px`;
    this.#restamp = true;
  }
}
