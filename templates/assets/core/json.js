// JSON as text. JSON.parse loses what a debugger must show: digits beyond 2^53, 1.0 as opposed to 1, duplicate keys.
// What is displayed is therefore the text that was received, and only its layout changes.

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

/** The elements of an array, each as text; none where `text`, which is valid JSON, is no array. */
export function items(text) {
  const start = skipSpace(text, 0);
  return text[start] === "[" ? entries(text, start).map(({ from, to }) => text.slice(from, to)) : [];
}

/**
 * What the object or array that opens at `start` holds: `{key, from, to}` each, `key` being the text of the name with
 * its quotes, and null in an array. Only this level is looked at.
 */
export function entries(text, start) {
  const found = [];
  const named = text[start] === "{";
  for (let i = skipSpace(text, start + 1); i < text.length && text[i] !== "}" && text[i] !== "]"; ) {
    let key = null;
    if (named) {
      const keyEnd = stringEnd(text, i);
      key = text.slice(i, keyEnd);
      i = skipSpace(text, skipSpace(text, keyEnd) + 1);
    }
    const to = valueEnd(text, i);
    found.push({ key, from: i, to });
    i = skipSpace(text, to);
    if (text[i] !== ",") break;
    i = skipSpace(text, i + 1);
  }
  return found;
}

/**
 * Lays `text` out with two spaces a level, telling each piece to `emit(kind, piece)`: kind is "key", "string",
 * "number", "word" or "" (punctuation and space). Text that was cut off anywhere is laid out up to there.
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

/** The text without the space between its tokens: what a person edited, as it goes over the wire. */
export function compact(text) {
  let out = "";
  for (let i = skipSpace(text, 0); i < text.length; i = skipSpace(text, i)) {
    const end = text[i] === '"' ? stringEnd(text, i) : /[{}[\],:]/.test(text[i]) ? i + 1 : wordEnd(text, i);
    out += text.slice(i, end);
    i = end;
  }
  return out;
}

/**
 * What is wrong with `text` as a JSON object, and where: `{at, line, column, message}`, or null where it is one.
 * The words of JSON.parse differ from browser to browser, and not all of them name the place.
 */
export function fault(text) {
  const found = firstFault(text);
  if (!found) return null;
  const before = text.slice(0, found.at);
  const line = before.split("\n").length;
  return { ...found, line, column: found.at - before.lastIndexOf("\n") };
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /(?:true|false|null)\b/y;
const SPECIAL = /["\\\u0000-\u001f]/g;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

function firstFault(text) {
  const open = [];
  // What may come next: a value, a first value or "]", a key, a first key or "}", or what follows a value.
  let want = "value";
  for (let i = skipSpace(text, 0); ; i = skipSpace(text, i)) {
    const c = text[i];
    if (want === "after" && open.length === 0) return c === undefined ? null : wrong(text, i, "nothing may follow the object");
    const closing = open.at(-1) === "{" ? "}" : "]";
    if (open.length === 0 && c !== "{") return wrong(text, i, "expected “{”, the start of an object");
    if (c === closing && open.length > 0 && want !== "value" && want !== "key") {
      open.pop();
      want = "after";
      i += 1;
    } else if (want === "after") {
      if (c !== ",") return wrong(text, i, `expected “,” or “${closing}”`);
      want = closing === "}" ? "key" : "value";
      i += 1;
    } else if (want === "key" || want === "first key") {
      if (c !== '"') return wrong(text, i, `expected a name in double quotes${want === "key" ? "" : " or “}”"}`);
      const bad = stringFault(text, i);
      if (bad) return bad;
      i = skipSpace(text, stringEnd(text, i));
      if (text[i] !== ":") return wrong(text, i, "expected “:”");
      want = "value";
      i += 1;
    } else if (c === "{" || c === "[") {
      open.push(c);
      want = c === "{" ? "first key" : "first value";
      i += 1;
    } else if (c === '"') {
      const bad = stringFault(text, i);
      if (bad) return bad;
      i = stringEnd(text, i);
      want = "after";
    } else {
      const end = matchEnd(NUMBER, text, i) ?? matchEnd(WORD, text, i);
      if (end === undefined) return wrong(text, i, "expected a value");
      i = end;
      want = "after";
    }
  }
}

function stringFault(text, start) {
  for (let i = start + 1; ; ) {
    SPECIAL.lastIndex = i;
    const found = SPECIAL.exec(text);
    if (!found) return { at: start, message: "this string has no closing quote" };
    if (found[0] === '"') return null;
    if (found[0] === "\n") return { at: start, message: "this string has no closing quote on its line" };
    if (found[0] !== "\\") return { at: found.index, message: "a control character must be written as an escape" };
    const end = matchEnd(ESCAPE, text, found.index);
    if (end === undefined) return { at: found.index, message: "unknown escape sequence" };
    i = end;
  }
}

function matchEnd(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : undefined;
}

function wrong(text, at, message) {
  const found = at < text.length ? `found “${String.fromCodePoint(text.codePointAt(at))}”` : "found the end of the text";
  return { at, message: `${message}, ${found}` };
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

const BRACKET = /["{}[\]]/g;

function valueEnd(text, i) {
  if (text[i] === '"') return stringEnd(text, i);
  if (text[i] !== "{" && text[i] !== "[") return wordEnd(text, i);
  let depth = 0;
  for (BRACKET.lastIndex = i; BRACKET.test(text); ) {
    const at = BRACKET.lastIndex - 1;
    const c = text[at];
    if (c === '"') {
      BRACKET.lastIndex = stringEnd(text, at);
      continue;
    }
    depth += c === "{" || c === "[" ? 1 : -1;
    if (depth === 0) return at + 1;
  }
  return text.length;
}
