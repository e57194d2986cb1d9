// The debugger page: one stream in, one trace kept, everything drawn from it.
//
//   stream.js ─▶ frame ─▶ trace.js (what we know) ─▶ timeline.js, details.js, status.js (what is seen)
//   controls.js, decision.js, breakpoints.js ─▶ POST debug/… ─▶ the server ─▶ a frame
//   forkform.js, compareview.js, filebar.js ─▶ whole runs: forked, side by side, as files
//   runs.js (the chosen run) and the selection ─▶ scope.js ─▶ what the buttons act on
//
// A control's answer is never applied here: what it changed comes back as frames, in order with everything else.

import { agentIdOf } from "./address.js";
import { clearAlerts, showAlert } from "./alerts.js";
import { call } from "./api.js";
import { Breakpoints } from "./breakpoints.js";
import { wireCopy } from "./clipboard.js";
import { Comparing } from "./comparing.js";
import { updateToolbar, wireControls } from "./controls.js";
import { Decisions } from "./decision.js";
import { Details } from "./details.js";
import { FileBar } from "./filebar.js";
import { ForkForm } from "./forkform.js";
import { members } from "./json.js";
import { Nodes } from "./nodes.js";
import { Places } from "./places.js";
import { RunsPanel } from "./runspanel.js";
import { runName, Runs } from "./runs.js";
import { holdReason, targets } from "./scope.js";
import { Search } from "./search.js";
import { SearchBar } from "./searchbar.js";
import { adoptTokenFromFragment, authorization, saveToken } from "./session.js";
import { Status } from "./status.js";
import { EventStream } from "./stream.js";
import { drawSummary } from "./summary.js";
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

const status = new Status({
  agentId,
  observing,
  breakpoint: (id) => breakpoints.reveal(id),
  onTimeout: (ids) => breakpoints.onTimeout(ids),
  release,
});
const nodes = new Nodes();
const trace = new Trace((change, event) => {
  timeline[change](event);
  if (change !== "changed") compare.changed();
  if (change === "changed") details.changed(event);
  else if (change === "appended") details.came(event);
  else if (change === "dropped") nodes.drop(event.seq);
  else nodes.clear();
  redraw();
});
const search = new Search({
  events: () => trace.of(null),
  changed() {
    timeline.searched();
    searchBar.draw();
  },
});
const timeline = new Timeline({
  list: at("timeline"),
  scale: at("scale"),
  trace,
  search,
  told: (run) => runs.get(run),
  onSelect: selected,
  onFollow: drawFollow,
  onRows: () => searchBar.draw(),
});

const decisions = new Decisions({
  onTouch: () => timeline.stay(),
  onDone(text) {
    status.announce("done", text);
    timeline.resume();
  },
});
const breakpoints = new Breakpoints({
  alert: showAlert,
  announce: (text) => status.announce("breakpoints", text),
  pick,
  onOpen: () => runsPanel.hide(),
  onList: redraw,
});
const details = new Details({
  panel: at("details"),
  get: (seq) => trace.get(seq),
  nodes,
  tools: {
    decide,
    breakHere,
    pick,
    fork: (event) => forkForm.open(event),
    ignore: (event, path) => forkForm.ignoring(event, path),
    breakpoint: (id) => breakpoints.reveal(id),
    onTimeout: (ids) => breakpoints.onTimeout(ids),
  },
});
const runs = new Runs({ select: at("run"), known: at("known-runs"), onChoose: chooseRun, onList: runsTold });
const runsPanel = new RunsPanel({
  runs,
  nodes,
  held: () => state?.held ?? [],
  pick,
  alert: showAlert,
  announce: (text) => status.announce("runs", text),
  onOpen: () => breakpoints.hide(),
  compare(left, right) {
    // Two runs need the room of the panel.
    runsPanel.hide();
    compare.show(left, right);
  },
  write: (run, mask) => files.export(run, mask),
});
const files = new FileBar({
  announce: (text) => status.announce("files", text),
  exists: (id) => runs.get(id) !== undefined,
  imported({ run_id: run, first_seq: first }) {
    runs.refresh();
    runs.choose(run);
    if (first) places.seek(first);
  },
});
const compare = new Comparing({
  alert: showAlert,
  get: (seq) => trace.get(seq),
  runs,
  pick,
  announce: (text) => status.announce("compare", text),
  onChange: (two) => places.remember({ compare: two }),
});
const forkForm = new ForkForm({
  agentId,
  get: (seq) => trace.get(seq),
  runs,
  showRun(run) {
    compare.hide();
    runs.choose(run);
  },
  compare: (left, right) => compare.show(left, right),
  announce: (text) => status.announce("fork", text),
  alert: showAlert,
});
const searchBar = new SearchBar({
  search,
  timeline,
  hits: () => trace.of(runs.chosen).slice().filter(({ hit }) => hit),
  choose: (event) => places.go(event, false),
  announce: (text) => status.announce("search", text),
});
const places = new Places({
  trace,
  timeline,
  runs,
  compare,
  known: () => state !== null,
  announce: (text) => status.announce("view", text),
});

let connection = "connecting";
let why = "";
let state = null;
/** The default mode when the runs were last told: with another one, what they do is not known until they are again. */
let modeOfRuns;
/** What the buttons act on, as scope.js says. */
let scope = targets([], runs.chosen, undefined);
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
  onState(next, reason, code, wait) {
    status.connection(connection, next, reason, wait);
    [connection, why] = [next, reason];
    if (next !== "live") opening = true;
    // What comes after this may be another server, whose revisions begin anew.
    if (next !== "live") breakpoints.forgetRevision();
    at("token-form").hidden = !(next === "ended" && (code === 401 || code === 403));
    redraw();
  },
});

wireControls({
  alert: showAlert,
  settled: clearAlerts,
  move: (by) => (compare.shown ? compare.step(by) : timeline.move(by, document.activeElement?.matches("#timeline .row"))),
  keys: {
    b: () => breakpoints.toggle(),
    r: () => runsPanel.toggle(),
    f: () => !compare.shown && details.event && !details.event.lost && forkForm.open(details.event),
    h: () => scope.next && pick(scope.next.seq),
    d: () => at("details").focus(),
    y: () => press("proceed"),
    e: () => press("edit"),
    a: () => press("fulfil"),
    x: () => press("fail"),
    1: () => places.setView("tree"),
    2: () => places.setView("list"),
    3: () => places.setView("waterfall"),
    "/": () => {
      compare.hide();
      searchBar.focus();
    },
    m: () => (compare.shown ? compare.move(1) : searchBar.go(1)),
    M: () => (compare.shown ? compare.move(-1) : searchBar.go(-1)),
  },
});
at("follow").addEventListener("click", () => timeline.follow());
for (const id of ["now", "holds"]) {
  at(id).addEventListener("click", (click) => {
    const link = click.target.closest("[data-go]");
    if (!link) return;
    click.preventDefault();
    pick(Number(link.dataset.go));
  });
}
// The selected row is selected already, and still the way back to it from a step that the trace has let go.
at("timeline").addEventListener("click", () => details.event?.lost && details.show(timeline.selected));
at("zoom-in").addEventListener("click", () => timeline.zoom(1.5));
at("zoom-out").addEventListener("click", () => timeline.zoom(1 / 1.5));
at("zoom-fit").addEventListener("click", () => timeline.axis.fit());
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
timeline.show(runs.chosen);
places.start();
aim();
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
    nodes.ended(String(frame.run_id ?? ""), frame.seq, frame.decision?.action);
  } else if (name === "forked") {
    takeFork(frame);
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
    nodes.add(frame);
    trace.append(frame, raw);
    runs.seen(frame);
    places.came(frame.seq);
    // Its hold was told before it came.
    if (state?.held.some((hold) => hold.seq === frame.seq)) aim();
  }
  redraw();
}

/** A fork was made, here or elsewhere. What was made before this page came is told by the list of runs alone. */
function takeFork({ run_id: run, forked_from: source, plan }) {
  runs.forked({ run_id: run, forked_from: source });
  if (state) status.announce("forked", `${runName(source.run_id)} was forked: run ${runName(run)}. ${plan.summary}.`);
}

/** Drops the trace. The position frame that opened this connection may already tell of the new one. */
function forget(keepPosition) {
  const { position, total } = trace.counters;
  trace.clear();
  decisions.forget();
  runs.refresh();
  if (keepPosition) trace.counters.snapshot(position, total, true);
  else status.announce("done", "The trace was cleared.");
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
  const at = performance.now();
  const held = Array.isArray(snapshot.held) ? snapshot.held.map((hold) => ({ ...hold, at })) : [];
  state = { ...snapshot, held };
  places.came();
  const fresh = aim();
  showLost();
  runs.refresh();
  breakpoints.revision(snapshot.breakpoint_revision);
  if (fresh.length === 0) return;
  const first = state.held.find((hold) => hold.seq === fresh[0]);
  status.announce(
    "held",
    fresh.length === 1
      ? `Step ${first.seq}, ${words(first.type)} ${visible(first.name ?? "")}, is held: ${holdReason(first)}.`
      : `${count(state.held.length, "step")} are held.`,
  );
}

/** Works out anew what the buttons act on: holds, the chosen run or the selection have changed. */
function aim() {
  const held = state?.held ?? [];
  scope = targets(held, runs.chosen, timeline.selected?.seq);
  const fresh = trace.hold(held, scope.next?.seq);
  timeline.aim(trace.get(scope.next?.seq) ?? null);
  updateToolbar(scope, chosenName());
  return fresh;
}

function chosenName() {
  return runs.chosen === null ? "" : runName(runs.chosen);
}

function chooseRun(run) {
  timeline.show(run);
  places.remember({ run });
  aim();
  runsPanel.draw();
  status.announce("run", `${run === null ? "All runs" : runName(run)}: ${count(timeline.length, "event")}.`);
  redraw();
}

/** Selects an event because a link names it, in whichever run it is. Returns whether this page has it. */
function pick(seq) {
  const event = trace.get(seq);
  compare.hide();
  const hold = state?.held.find((one) => one.seq === seq);
  // The trace has let it go, and the agent still waits for a decision.
  if (!event && hold) details.show(lostEvent(hold));
  if (event) places.go(event, true);
  return event !== undefined;
}

/** A held event of which nothing is known but what its hold says. */
function lostEvent(hold) {
  const name = visible(hold.name ?? "");
  const raw = JSON.stringify({ run_id: hold.run_id, name: hold.name });
  return { seq: hold.seq, type: hold.type, name, runId: hold.run_id, raw, held: "held", hold, decision: null, lost: true };
}

/** Such an event is in no trace that would tell that its hold has ended. */
function showLost() {
  const { event } = details;
  if (!event?.lost) return;
  event.hold = state.held.find((hold) => hold.seq === event.seq) ?? null;
  event.held = event.hold && "held";
  details.changed(event);
}

async function release(seq) {
  try {
    await call("POST", "release", { seq, action: "proceed" });
    status.announce("done", `Step ${seq} was let go.`);
  } catch (error) {
    showAlert(error.message);
  }
}

function runsTold() {
  modeOfRuns = state?.mode;
  compare.changed();
  runsPanel.draw();
  timeline.restyle();
  redraw();
}

function decide(slot, event) {
  decisions.draw(slot, event);
}

/** Presses a verb of the step in the details. */
function press(action) {
  decisions.press(at("details"), action);
}

/** A new breakpoint from an event: its type, and its name as a glob that means this name alone. */
function breakHere(event) {
  const name = members(event.raw).get("name") ?? "null";
  const glob = name === "null" ? "" : JSON.parse(name).replace(/[*?[]/g, "[$&]");
  breakpoints.write({ types: [event.type], name: glob });
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
  const { inScope, next } = scope;
  const { mode, finished } = runs.get(runs.chosen) ?? {};
  const stopped = nodes.run(runs.chosen)?.stopped;
  const told = modeOfRuns === state?.mode ? runs.all : [];
  status.draw({ connection, why, state, trace, scope: { run: chosenName(), mode, finished, stopped, inScope, next, runs: told } });
  timeline.markCursor(trace.counters.cursorSeq);
  drawSummary({ trace, run: runs.chosen, shown: timeline.length, runs, connection });
}

/** Shows the selected event: at once when a person chose it, in measured steps while it follows the newest. */
function selected(event, following) {
  places.selected(event, following);
  detail(event, following);
}

function detail(event, following) {
  aim();
  clearTimeout(detailsTimer);
  const wait = following ? detailsAt + DETAILS_MS - performance.now() : 0;
  if (wait > 0) {
    detailsTimer = setTimeout(() => detail(event, false), wait);
    return;
  }
  detailsAt = performance.now();
  details.show(event);
}

function drawFollow(following) {
  if (following) places.remember({ seq: null });
  at("follow").hidden = following;
}
