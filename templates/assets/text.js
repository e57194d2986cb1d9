// What an agent sends, made fit to be read. Everything here returns text; nothing here makes markup.

/** Characters that are not seen, or that reorder what is seen. Joiners stay: scripts and emoji need them. */
const INVISIBLE =
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;

/** Makes every character that hides visible: control pictures for C0, the code point for the rest. */
export function visible(text) {
  return text.replace(INVISIBLE, (c) => {
    const point = c.codePointAt(0);
    if (point < 0x20) return String.fromCharCode(0x2400 + point);
    if (point === 0x7f) return "\u2421";
    return `[U+${point.toString(16).toUpperCase().padStart(4, "0")}]`;
  });
}

/** As `visible`, but text that is read as a whole keeps its line breaks and tabs. */
export function visibleLines(text) {
  return text.replace(/\r\n/g, "\n").replace(INVISIBLE, (c) => (c === "\n" || c === "\t" ? c : visible(c)));
}

/** As `visible`, in a JSON string, where the escape means the very same character. */
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

/** An event's type as words. */
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

/** The moment in full, from Unix seconds. */
export function moment(seconds) {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? "" : date.toISOString();
}

/** A stretch of time as people say it. */
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

/** One argument for a shell, whatever is in it. */
export function shellQuoted(text) {
  return /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** A line for a shell that reports a first step. A quote in the id would end the argument, so it is escaped too. */
export function curlLine(origin, agentId) {
  const id = encodeURIComponent(agentId).replaceAll("'", "%27");
  return [
    `curl '${origin}/agent/${id}/debug/trace' \\`,
    `  -H 'Content-Type: application/json' \\`,
    `  -d '{"type":"prompt","data":{"text":"Plan a trip to Lisbon"}}'`,
  ].join("\n");
}
