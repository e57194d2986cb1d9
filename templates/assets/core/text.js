// Text that an agent sent, made fit to be read. Everything here returns text; nothing here makes markup.

/**
 * The characters that cannot be seen, or that change the order of those that can: `[first, last, name]`. All that
 * Unicode calls default ignorable is here, but for the two joiners: scripts and emoji need them.
 */
export const HIDDEN = [
  [0x0000, 0x001f, "C0 controls"],
  [0x007f, 0x009f, "delete and C1 controls"],
  [0x00ad, 0x00ad, "soft hyphen"],
  [0x034f, 0x034f, "combining grapheme joiner"],
  [0x061c, 0x061c, "Arabic letter mark"],
  [0x115f, 0x1160, "Hangul choseong and jungseong fillers"],
  [0x17b4, 0x17b5, "Khmer inherent vowels"],
  [0x180b, 0x180f, "Mongolian variation selectors and vowel separator"],
  [0x200b, 0x200b, "zero width space"],
  [0x200e, 0x200f, "left-to-right and right-to-left mark"],
  [0x2028, 0x202e, "line and paragraph separator, bidirectional embeddings and overrides"],
  [0x2060, 0x206f, "word joiner, invisible operators, bidirectional isolates, deprecated format characters"],
  [0x3164, 0x3164, "Hangul filler"],
  [0xfe00, 0xfe0f, "variation selectors"],
  [0xfeff, 0xfeff, "byte order mark"],
  [0xffa0, 0xffa0, "halfwidth Hangul filler"],
  [0xfff0, 0xfffb, "unassigned, and interlinear annotations"],
  [0x1bca0, 0x1bca3, "shorthand format controls"],
  [0x1d173, 0x1d17a, "musical format controls"],
  [0xe0000, 0xe0fff, "tags and the variation selectors supplement"],
];
const RANGES = HIDDEN.map(([first, last]) => `\\u{${first.toString(16)}}-\\u{${last.toString(16)}}`).join("");
/** U+FE0F is seen where it makes an emoji: directly after a pictograph, or in a keycap. There it stays as it is. */
const INVISIBLE = new RegExp(`[${RANGES}](?<!\\p{Extended_Pictographic}\\ufe0f)(?!(?<=[0-9#*]\\ufe0f)\\u20e3)`, "gu");

/** Shows every hidden character: as a control picture for C0, by its code point otherwise. */
export function visible(text) {
  return text.replace(INVISIBLE, (c) => {
    const point = c.codePointAt(0);
    if (point < 0x20) return String.fromCharCode(0x2400 + point);
    if (point === 0x7f) return "\u2421";
    return `[U+${point.toString(16).toUpperCase().padStart(4, "0")}]`;
  });
}

/** As `visible`, for text of several lines: line breaks and tabs stay. */
export function visibleLines(text) {
  return text.replace(/\r\n/g, "\n").replace(INVISIBLE, (c) => (c === "\n" || c === "\t" ? c : visible(c)));
}

/** As `visible`, in JSON text: the escape that stands for the same character. */
export function visibleJson(piece) {
  return piece.replace(INVISIBLE, (c) => {
    let escaped = "";
    for (let i = 0; i < c.length; i += 1) escaped += `\\u${c.charCodeAt(i).toString(16).padStart(4, "0")}`;
    return escaped;
  });
}

/** At most `length` UTF-16 units, with an ellipsis where something was cut; never half a character. */
export function clip(text, length) {
  if (text.length <= length) return text;
  const last = text.charCodeAt(length - 1);
  return `${text.slice(0, last >= 0xd800 && last < 0xdc00 ? length - 1 : length)}…`;
}

/** A constant of the API, such as an event's type, as words. */
export function words(type) {
  return String(type).replaceAll("_", " ");
}

/** Local time of day with milliseconds, from Unix seconds. */
export function clock(seconds) {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return "";
  const two = (n) => String(n).padStart(2, "0");
  const ms = String(date.getMilliseconds()).padStart(3, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`;
}

/** Date and time in full (ISO 8601, UTC), from Unix seconds. */
export function moment(seconds) {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? "" : date.toISOString();
}

/** A duration in the units that people use. */
export function duration(ms) {
  if (!(ms >= 0)) return "";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const s = ms / 1000;
  if (s < 60) return `${s < 10 ? s.toFixed(1) : Math.floor(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

/** `1 event`, `2 events`. */
export function count(n, noun) {
  return `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
}

/** Any text as one argument for a POSIX shell. */
export function shellQuoted(text) {
  return /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** A shell command that reports a first step. A quote in the id would end the argument, so that it is escaped too. */
export function curlLine(origin, agentId) {
  const id = encodeURIComponent(agentId).replaceAll("'", "%27");
  return [
    `curl '${origin}/agent/${id}/debug/trace' \\`,
    `  -H 'Content-Type: application/json' \\`,
    `  -d '{"type":"prompt","data":{"text":"Plan a trip to Lisbon"}}'`,
  ].join("\n");
}
