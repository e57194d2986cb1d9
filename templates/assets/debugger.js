// The debugger page: one stream in, one trace kept, everything drawn from it.
//
//   stream.js ─▶ frame ─▶ trace.js (what we know) ─▶ timeline.js, details.js, status.js (what is seen)
//   controls.js ─▶ POST debug/… ─▶ the server ─▶ a frame
//
// A control's answer is never applied here: what it changed comes back as frames, in order with everything else.

import { clearAlerts, showAlert } from "./alerts.js";
import { wireCopy } from "./clipboard.js";
import { updateStop, wireControls } from "./controls.js";
import { refreshHold, showDetails } from "./details.js";
import { adoptTokenFromFragment, authorization, saveToken } from "./session.js";
import { Status } from "./status.js";
import { EventStream } from "./stream.js";
import { count, curlLine, visible, words } from "./text.js";
import { Timeline } from "./timeline.js";
import { Trace } from "./trace.js";

/** While events pour in, following the newest redraws the details at most this often. */
const DETAILS_MS = 120;
/** How often a hidden tab is drawn at most. */
const HIDDEN_MS = 250;
const EVENTS = new Set(["prompt", "response", "tool_call", "tool_result", "error", "log"]);

const at = (id) => document.getElementById(id);
const agentId = agentIdOf(location.pathname);
const observing = new URLSearchParams(location.search).get("mode") === "observe";

adoptTokenFromFragment();
for (const element of document.querySelectorAll("[data-agent-id]")) element.textContent = visible(agentId);
at("curl").textContent = curlLine(location.origin, agentId);
wireCopy(at("copy-curl"), () => at("curl").textContent, "Copy");
at("observing").hidden = !observing;
at("debug-link").href = location.pathname;
at("debug-hint").hidden = observing;

const status = new Status(agentId, observing);
const trace = new Trace((change, event) => {
  timeline[change](event);
  if (change === "changed" && event === timeline.selected) refreshHold(at("details"), event);
  redraw();
});
const timeline = new Timeline({ list: at("timeline"), trace, onSelect: selected, onFollow: drawFollow });

let connection = "connecting";
let why = "";
let state = null;
let epoch = null;
let opening = true;
/** After a reconnect, the total that its position frame told, until the stream has caught up; else null. */
let resumedTotal = null;
let drawing = 0;
let detailsAt = 0;
let detailsTimer = 0;

const stream = new EventStream({
  url: `debug/events${observing ? "?mode=observe" : ""}`,
  headers: authorization,
  onFrame: receive,
  onState(next, reason, code) {
    if (next !== connection) status.announce(`Connection: ${next}. ${reason}`);
    [connection, why] = [next, reason];
    if (next !== "live") opening = true;
    at("token-form").hidden = !(next === "ended" && (code === 401 || code === 403));
    redraw();
  },
});

wireControls({
  alert: showAlert,
  settled: clearAlerts,
  move: (by) => timeline.move(by, document.activeElement?.matches("[role=option]")),
});
at("follow").addEventListener("click", () => timeline.follow());
at("now").addEventListener("click", (click) => {
  const link = click.target.closest("#held-link");
  if (!link) return;
  click.preventDefault();
  timeline.pick(trace.get(Number(link.dataset.seq)), true);
});
for (const button of document.querySelectorAll("[data-reconnect]")) {
  button.addEventListener("click", () => stream.connectNow());
}
at("token-form").addEventListener("submit", (submit) => {
  submit.preventDefault();
  saveToken(at("token").value.trim());
  at("token").value = "";
  stream.connectNow();
});
addEventListener("hashchange", () => adoptTokenFromFragment() && stream.connectNow());
document.addEventListener("visibilitychange", draw);
setInterval(() => status.tick(), 1000);
updateStop(at("stop"), []);
redraw();
stream.connectNow();

/** Takes one frame of the stream. Frames that this page does not know are left alone. */
function receive({ event: name, data: raw, id }) {
  let frame;
  try {
    frame = JSON.parse(raw);
  } catch {
    showAlert("The server sent a frame that is not JSON; it was left out.");
    return;
  }
  const next = id?.slice(0, id.lastIndexOf("."));
  // A trace of another epoch is another trace, whether or not a clear came before it.
  if (next && epoch && next !== epoch && frame.type !== "clear") forget(true);
  epoch = next || epoch;
  if (name === "state") {
    takeState(frame);
  } else if (name === "decision") {
    trace.decide(frame, raw);
  } else if (name === "gap") {
    trace.gaps = [frame];
  } else if (name !== "") {
    return;
  } else if (frame.type === "position") {
    if (opening) resumedTotal = trace.length > 0 ? frame.total : null;
    trace.counters.snapshot(frame.pos, frame.total, opening);
    opening = false;
  } else if (frame.type === "clear") {
    forget(false);
  } else if (EVENTS.has(frame.type)) {
    trace.append(frame, raw);
  }
  redraw();
}

/** Drops the trace. The position frame that opened this connection may already tell of the new one. */
function forget(keepPosition) {
  const { position, total } = trace.counters;
  trace.clear();
  if (keepPosition) trace.counters.snapshot(position, total, true);
  else status.announce("The trace was cleared.");
}

/**
 * The position frame of a resumed stream counts what we missed, but does not say how much of what we knew was
 * trimmed meanwhile. Where the missed events then do not add up to it, the server is asked what it retains.
 */
async function recount() {
  try {
    const response = await fetch("debug/status", { headers: authorization(), cache: "no-store" });
    const retained = response.ok ? await response.json() : {};
    if (retained.epoch === epoch) trace.counters.retained(retained.first_seq, retained.last_seq);
    redraw();
  } catch {
    // The connection is gone again; the next one starts with a position of its own.
  }
}

function takeState(snapshot) {
  // The state comes once the stream has caught up.
  if (resumedTotal !== null && resumedTotal !== trace.counters.total) recount();
  resumedTotal = null;
  state = { ...snapshot, held: Array.isArray(snapshot.held) ? snapshot.held : [], at: performance.now() };
  const fresh = trace.hold(state.held);
  updateStop(at("stop"), state.held);
  if (fresh.length === 0) return;
  const { type, name, seq } = state.held.find((hold) => hold.seq === fresh[0]);
  status.announce(
    fresh.length === 1
      ? `Step ${seq}, ${words(type)} ${visible(name ?? "")}, is held.`
      : `${count(state.held.length, "step")} are held.`,
  );
}

/**
 * Draws once per animation frame, however many frames came. A hidden tab has no animation frames, but its title is
 * seen, and says whether something is held.
 */
function redraw() {
  drawing ||= document.hidden ? setTimeout(draw, HIDDEN_MS) : requestAnimationFrame(draw);
}

function draw() {
  drawing = 0;
  status.draw({ connection, why, state, trace });
  timeline.markCursor(trace.counters.cursorSeq);
  at("shown").textContent = trace.length.toLocaleString("en");
}

/** Shows the selected event: at once when a person chose it, in measured steps while it follows the newest. */
function selected(event, following) {
  clearTimeout(detailsTimer);
  const wait = following ? detailsAt + DETAILS_MS - performance.now() : 0;
  if (wait > 0) {
    detailsTimer = setTimeout(() => selected(event, false), wait);
    return;
  }
  detailsAt = performance.now();
  showDetails(at("details"), event);
}

function drawFollow(following) {
  at("follow").hidden = following;
}

function agentIdOf(path) {
  const [, encoded = ""] = /^\/agent\/([^/]*)\/debug$/.exec(path) ?? [];
  try {
    return decodeURIComponent(encoded);
  } catch {
    // Not UTF-8. The server has refused such an id already, or will refuse the stream, with its own words.
    return encoded;
  }
}
