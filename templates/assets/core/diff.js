// The difference between two lists: the fewest changes that there are or, beyond a bound, all of both.

/** The cost is the product of both lengths, without what is equal at both ends. */
const MOST = 4_000_000;

/**
 * The changes from `before` to `after`, in order: `{kind, before, after}` with kind "same", "gone" or "new", and the index
 * in each list, where it is in it. Elements are compared with ===.
 */
export function difference(before, after) {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start += 1;
  let [ends, endsAfter] = [before.length, after.length];
  while (ends > start && endsAfter > start && before[ends - 1] === after[endsAfter - 1]) {
    ends -= 1;
    endsAfter -= 1;
  }
  const changes = [];
  for (let i = 0; i < start; i += 1) changes.push({ kind: "same", before: i, after: i });
  middle(before, after, start, ends, endsAfter, changes);
  for (let i = 0; i < before.length - ends; i += 1) changes.push({ kind: "same", before: ends + i, after: endsAfter + i });
  return changes;
}

function middle(before, after, start, ends, endsAfter, changes) {
  const [rows, columns] = [ends - start, endsAfter - start];
  const width = columns + 1;
  let lengths = null;
  if (rows * columns <= MOST) {
    // The longest common part of what is left from (row, column) on.
    lengths = new Uint32Array((rows + 1) * width);
    for (let row = rows - 1; row >= 0; row -= 1) {
      for (let column = columns - 1; column >= 0; column -= 1) {
        lengths[row * width + column] = before[start + row] === after[start + column]
          ? lengths[(row + 1) * width + column + 1] + 1
          : Math.max(lengths[(row + 1) * width + column], lengths[row * width + column + 1]);
      }
    }
  }
  let [row, column] = [0, 0];
  while (row < rows || column < columns) {
    if (lengths && row < rows && column < columns && before[start + row] === after[start + column]) {
      changes.push({ kind: "same", before: start + row, after: start + column });
      row += 1;
      column += 1;
    } else if (row < rows && (column >= columns || !lengths || lengths[(row + 1) * width + column] >= lengths[row * width + column + 1])) {
      changes.push({ kind: "gone", before: start + row });
      row += 1;
    } else {
      changes.push({ kind: "new", after: start + column });
      column += 1;
    }
  }
}
