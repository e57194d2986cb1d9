// JSON as text. JSON.parse loses what a debugger must show: digits beyond 2^53, 1.0 as opposed to 1, keys that
// come twice. What is displayed is therefore cut out of the text that came, and only laid out anew.

const SPACE = /[ \t\r\n]/;

/** The top-level members of an object, by key, as the text of their values. `text` is valid JSON. */
export function members(text) {
  const found = new Map();
  let i = skipSpace(text, 0);
  if (text[i] !== "{") return found;
  i = skipSpace(text, i + 1);
  while (i < text.length && text[i] === '"') {
    const keyEnd = stringEnd(text, i);
    const key = JSON.parse(text.slice(i, keyEnd));
    i = skipSpace(text, keyEnd);
    i = skipSpace(text, i + 1);
    const end = valueEnd(text, i);
    found.set(key, text.slice(i, end));
    i = skipSpace(text, end);
    if (text[i] !== ",") break;
    i = skipSpace(text, i + 1);
  }
  return found;
}

/**
 * Lays `text` out with two spaces a level, telling each piece to `emit(kind, piece)`: kind is "key", "string",
 * "number", "word" or "" (punctuation and space). Text that was cut off anywhere is laid out as far as it goes.
 */
export function layOut(text, emit) {
  let depth = 0;
  let expectKey = false;
  const stack = [];
  const newLine = () => `\n${"  ".repeat(depth)}`;
  for (let i = skipSpace(text, 0); i < text.length; i = skipSpace(text, i)) {
    const c = text[i];
    if (c === '"') {
      const end = stringEnd(text, i);
      emit(expectKey ? "key" : "string", text.slice(i, end));
      expectKey = false;
      i = end;
    } else if (c === "{" || c === "[") {
      const next = skipSpace(text, i + 1);
      if (text[next] === "}" || text[next] === "]") {
        emit("", c + text[next]);
        i = next + 1;
        continue;
      }
      stack.push(c);
      depth += 1;
      expectKey = c === "{";
      emit("", c + newLine());
      i += 1;
    } else if (c === "}" || c === "]") {
      stack.pop();
      depth = Math.max(0, depth - 1);
      emit("", newLine() + c);
      i += 1;
    } else if (c === ",") {
      expectKey = stack.at(-1) === "{";
      emit("", `,${newLine()}`);
      i += 1;
    } else if (c === ":") {
      emit("", ": ");
      i += 1;
    } else {
      const end = wordEnd(text, i);
      emit(c === "-" || (c >= "0" && c <= "9") ? "number" : "word", text.slice(i, end));
      i = end;
    }
  }
}

function skipSpace(text, i) {
  while (i < text.length && SPACE.test(text[i])) i += 1;
  return i;
}

/** Where the string that opens at `i` is over: behind its closing quote, or at the end of a text that was cut. */
function stringEnd(text, i) {
  for (let quote = text.indexOf('"', i + 1); quote >= 0; quote = text.indexOf('"', quote + 1)) {
    let backslashes = 0;
    while (text[quote - 1 - backslashes] === "\\") backslashes += 1;
    if (backslashes % 2 === 0) return quote + 1;
  }
  return text.length;
}

function wordEnd(text, i) {
  let end = i + 1;
  while (end < text.length && !/[ \t\r\n,:{}[\]"]/.test(text[end])) end += 1;
  return end;
}

function valueEnd(text, i) {
  if (text[i] === '"') return stringEnd(text, i);
  if (text[i] !== "{" && text[i] !== "[") return wordEnd(text, i);
  let depth = 0;
  while (i < text.length) {
    const c = text[i];
    if (c === '"') {
      i = stringEnd(text, i);
      continue;
    }
    if (c === "{" || c === "[") depth += 1;
    else if (c === "}" || c === "]") depth -= 1;
    i += 1;
    if (depth === 0) break;
  }
  return i;
}
