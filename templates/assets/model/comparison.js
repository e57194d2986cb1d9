// Two runs as the server aligned them, as rows of a list: consecutive steps that are equal, or on one side only, are one
// row until it is opened.

/** The number of consecutive steps, equal or on one side only, that are shown without a fold. */
const SHOWN = new Map([["equal", 1], ["left", 6], ["right", 6]]);

/**
 * The rows at the top: `{kind, pairs}` for a stretch that can be opened, or a pair itself. A pair is `{kind, left, right,
 * fields, group}` with the seqs of its events, of which one may be undefined.
 */
export function stretches(rows) {
  return rows.map(({ kind, left_seqs: left, right_seqs: right, fields = [] }) => {
    const pairs = Array.from({ length: Math.max(left.length, right.length) }, (_, i) => ({
      kind, left: left[i], right: right[i], fields: i === 0 ? fields : [], stretch: null,
    }));
    const stretch = { kind, pairs, folds: pairs.length > (SHOWN.get(kind) ?? Infinity), open: false };
    for (const pair of pairs) pair.stretch = stretch;
    return stretch;
  });
}

/** The rows to show, with `level`, `place` and `size` for screen readers. */
export function shownRows(all) {
  const rows = [];
  const top = all.reduce((sum, { folds, pairs }) => sum + (folds ? 1 : pairs.length), 0);
  let place = 0;
  for (const stretch of all) {
    if (stretch.folds) rows.push(Object.assign(stretch, { level: 1, place: (place += 1), size: top }));
    if (stretch.folds && !stretch.open) continue;
    stretch.pairs.forEach((pair, i) => {
      const inside = stretch.folds;
      rows.push(Object.assign(pair, { level: inside ? 2 : 1, place: inside ? i + 1 : (place += 1), size: inside ? stretch.pairs.length : top }));
    });
  }
  return rows;
}

/** The next row, or the one before with -1, at which the runs differ; null with none. */
export function nextDifference(rows, from, by) {
  const differs = ({ kind, pairs, open }) => kind !== "equal" && !(pairs && open);
  for (let i = from + by; i >= 0 && i < rows.length; i += by) if (differs(rows[i])) return rows[i];
  return null;
}

/** What two figures differ by, with its sign; "" where they do not. */
export function signed(left, right, say = (n) => n.toLocaleString("en")) {
  const by = right - left;
  if (!by) return "";
  return `${by > 0 ? "+" : "−"}${say(Math.abs(by))}`;
}
