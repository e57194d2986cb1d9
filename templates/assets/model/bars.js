// The times of the waterfall: when the work of a row began and ended, when the agent was held in it, and the axis.
// All times are Unix seconds as the server reported them; the browser's clock is not used.

import { closes, extentOf } from "./tree.js";

/** One bar shows at most this many separate stretches of held time; with more of them the shortest gaps are closed. */
const MAX_STRETCHES = 24;

/**
 * What the bar of a row covers: `{from, to, held, heldFor, open, point}`, with `held` the stretches in which the agent
 * was held, apart from each other and in order, and `heldFor` their seconds. `now` is the latest time known, and
 * `waiting` tells since when a node or run has a held step in it.
 */
export function barOf(item, now, waiting) {
  const at = item.items ? item : nodeOf(item);
  const whole = !at ? extentOf(item) : at === item ? [item.from, item.to] : nodeBar(at);
  const since = waiting.get(at ?? item);
  const stretches = at ? at.holds : [];
  const held = joined(since === undefined ? stretches : [...stretches, [since, now]]);
  const from = whole[0];
  const open = since !== undefined || (at && at !== item && at.head && !at.tail.some(closes));
  const to = Math.max(whole[1], open ? (since === undefined ? (at?.to ?? from) : now) : from, held.at(-1)?.[1] ?? from);
  const heldFor = held.reduce((sum, [start, end]) => sum + Math.max(0, end - Math.max(start, from)), 0);
  return { from, to, held, heldFor, open: Boolean(open), point: to === from };
}

/** How long a row's node worked, in ms: as it reported, otherwise its time without the time held. NaN if unknown. */
export function workOf(item, bar) {
  const own = item.items ? null : nodeOf(item);
  const reported = own ? own.tail.find((event) => event.took > 0)?.took : item.took;
  if (reported > 0) return reported;
  if (!item.items && (!own || bar.open)) return NaN;
  return Math.max(0, bar.to - bar.from - bar.heldFor) * 1000;
}

/** The node that a row stands for: the one that its event opened, or closed where the opening event is gone. */
function nodeOf(event) {
  const { node } = event;
  return node && (node.head === event || (!node.head && node.tail[0] === event)) ? node : null;
}

function nodeBar(node) {
  const [from, begun] = node.head ? extentOf(node.head) : extentOf(node.tail[0]);
  let to = begun;
  for (const event of node.tail) to = Math.max(to, extentOf(event)[1]);
  return [from, to];
}

/** Stretches in order, those that touch or overlap as one. */
export function joined(stretches) {
  if (stretches.length < 2) return stretches.slice();
  const sorted = stretches.toSorted((a, b) => a[0] - b[0]);
  const out = [sorted[0].slice()];
  for (const [from, to] of sorted) {
    const last = out.at(-1);
    if (from <= last[1]) last[1] = Math.max(last[1], to);
    else out.push([from, to]);
  }
  while (out.length > MAX_STRETCHES) {
    let closest = 1;
    for (let i = 2; i < out.length; i += 1) {
      if (out[i][0] - out[i - 1][1] < out[closest][0] - out[closest - 1][1]) closest = i;
    }
    out.splice(closest - 1, 2, [out[closest - 1][0], out[closest][1]]);
  }
  return out;
}

/** Round distances of at least `least` seconds: 1, 2 and 5 of each decade, then minutes, hours and days. */
export function tickOf(least) {
  for (const step of [60, 120, 300, 600, 1800, 3600, 7200, 21_600, 43_200]) {
    if (least > 20 && step >= least) return step;
  }
  if (least > 43_200) return Math.ceil(least / 86_400) * 86_400;
  const decade = 10 ** Math.floor(Math.log10(Math.max(least, 1e-6)));
  const step = [1, 2, 5, 10].find((factor) => factor * decade >= least * 0.999999) * decade;
  return step > 30 ? 60 : step;
}

/** A place on the axis, from its beginning: as precise as the distance of its ticks, and no more. */
export function tickText(seconds, step) {
  if (Math.abs(seconds) < step / 1000) return "0";
  if (step < 0.001) return `${(seconds * 1000).toFixed(step < 0.0001 ? 2 : 1)} ms`;
  if (step < 1 && seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (step < 1) return `${seconds.toFixed(step < 0.01 ? 3 : step < 0.1 ? 2 : 1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const [m, s] = [Math.floor(seconds / 60), Math.round(seconds % 60)];
  if (m < 60) return s ? `${m} m ${s} s` : `${m} min`;
  const [h, rest] = [Math.floor(m / 60), m % 60];
  if (h < 24) return rest ? `${h} h ${rest} m` : `${h} h`;
  return h % 24 ? `${Math.floor(h / 24)} d ${h % 24} h` : `${Math.floor(h / 24)} d`;
}
