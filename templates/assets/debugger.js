// The debugger page: one stream in, one trace kept, everything drawn from it.
//
//   core/stream.js ─▶ frame ─▶ model/feed.js ─▶ trace, state ─▶ panels/{timeline,details,header} (what is seen)
//   panels/{header,details,breakpoints} ─▶ POST debug/… ─▶ the server ─▶ a frame
//   panels/{fork,compare,runs} ─▶ whole runs: forked, side by side, as files
//   the chosen run and the selection ─▶ model/targets.js ─▶ what the buttons act on
//
// The response to a control is never applied here: what it changed arrives as frames, in order with everything else.

import { agentIdOf, readAddress } from "./core/address.js";
import { call } from "./core/api.js";
import { arrivedFromElsewhere, observesByAddress, rememberDebugging } from "./core/arrival.js";
import { members } from "./core/json.js";
import { EventStream } from "./core/stream.js";
import { count, curlLine, visible, words } from "./core/text.js";
import { adoptTokenFromFragment, authorization, saveToken } from "./core/token.js";
import { Feed } from "./model/feed.js";
import { Relations } from "./model/relations.js";
import { runName, Runs } from "./model/runs.js";
import { Search } from "./model/search.js";
import { holdReason, targets } from "./model/targets.js";
import { eventOfHold, Trace } from "./model/trace.js";
import { clearAlerts, showAlert } from "./ui/alerts.js";
import { wireCopy } from "./ui/clipboard.js";
import { Breakpoints } from "./panels/breakpoints/breakpoints.js";
import { CompareLoader } from "./panels/compare/loader.js";
import { Decisions } from "./panels/details/decision.js";
import { Details } from "./panels/details/details.js";
import { ForkLoader } from "./panels/fork/loader.js";
import { Status } from "./panels/header/status.js";
import { updateToolbar, wireToolbar } from "./panels/header/toolbar.js";
import { Navigation } from "./panels/navigation/navigation.js";
import { FileBar } from "./panels/runs/filebar.js";
import { RunsPanel } from "./panels/runs/panel.js";
import { RunSelect } from "./panels/runs/select.js";
import { SearchBar } from "./panels/timeline/searchbar.js";
import { drawSummary } from "./panels/timeline/summary.js";
import { Timeline } from "./panels/timeline/timeline.js";

/** While the selection follows the newest event, the details are drawn at most this often. */
const DETAILS_MS = 120;
/** A hidden tab is drawn at most this often. */
const HIDDEN_MS = 250;

const at = (id) => document.getElementById(id);
const agentId = agentIdOf(location.pathname);
const arrived = arrivedFromElsewhere({ arrival: document.documentElement.dataset.arrival, referrer: document.referrer });
let observing = arrived || observesByAddress();

adoptTokenFromFragment();
for (const element of document.querySelectorAll("[data-agent-id]")) element.textContent = visible(agentId);
at("curl").textContent = curlLine(location.origin, agentId);
wireCopy(at("copy-curl"), () => at("curl").textContent, "Copy");
showObserving();

const announce = (kind) => (text) => status.announce(kind, text);
const status = new Status({
  agentId,
  observing: () => observing,
  breakpoint: (id) => breakpoints.reveal(id),
  onTimeout: (ids) => breakpoints.onTimeout(ids),
  release,
});
const relations = new Relations();
const trace = new Trace((change, event) => {
  timeline[change](event);
  if (change !== "changed") compare.traceChanged();
  if (change === "changed") details.changed(event);
  else if (change === "appended") details.appended(event);
  else if (change === "dropped") relations.drop(event.seq);
  else relations.clear();
  redraw();
});
const feed = new Feed({
  trace,
  relations,
  on: {
    event: takeEvent,
    state: takeState,
    fork: takeFork,
    cleared: forget,
    recounted: redraw,
    damaged: () => showAlert("The server sent a frame that is not JSON. The frame was ignored."),
  },
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
  runInfo: (run) => runs.get(run),
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
  announce: announce("breakpoints"),
  pick,
  onOpen: () => runsPanel.hide(),
  onList: redraw,
});
const details = new Details({
  panel: at("details"),
  get: (seq) => trace.get(seq),
  relations,
  actions: {
    decide: (slot, event) => decisions.draw(slot, event),
    breakHere,
    pick,
    fork: (event) => forkForm.open(event),
    ignore: (event, path) => forkForm.openIgnoring(event, path),
    breakpoint: (id) => breakpoints.reveal(id),
    onTimeout: (ids) => breakpoints.onTimeout(ids),
  },
});
const runs = new Runs({ chosen: readAddress().run, paused: () => document.hidden, onChoose: chooseRun, onList: runsChanged });
const runSelect = new RunSelect({ select: at("run"), suggestions: at("known-runs"), runs });
const runsPanel = new RunsPanel({
  runs,
  relations,
  held: () => feed.state?.held ?? [],
  pick,
  alert: showAlert,
  announce: announce("runs"),
  onOpen: () => breakpoints.hide(),
  compare(left, right) {
    // The comparison needs the space of the panel.
    runsPanel.hide();
    compare.show(left, right);
  },
  exportRun: (run, mask) => files.export(run, mask),
});
const files = new FileBar({
  announce: announce("files"),
  exists: (id) => runs.get(id) !== undefined,
  imported({ run_id: run, first_seq: first }) {
    runs.refresh();
    runs.choose(run);
    if (first) navigation.seek(first);
  },
});
const compare = new CompareLoader({
  alert: showAlert,
  get: (seq) => trace.get(seq),
  runs,
  pick,
  announce: announce("compare"),
  onChange: (pair) => navigation.remember({ compare: pair }),
});
const forkForm = new ForkLoader({
  agentId,
  get: (seq) => trace.get(seq),
  runs,
  showRun(run) {
    compare.hide();
    runs.choose(run);
  },
  compare: (left, right) => compare.show(left, right),
  announce: announce("fork"),
  alert: showAlert,
});
const searchBar = new SearchBar({
  search,
  timeline,
  hits: () => trace.of(runs.chosen).slice().filter(({ hit }) => hit),
  choose: (event) => navigation.go(event, false),
  announce: announce("search"),
});
const navigation = new Navigation({
  trace,
  timeline,
  runs,
  compare,
  caughtUp: () => feed.state !== null,
  announce: announce("view"),
});

let connection = "connecting";
let why = "";
/** The default mode when the runs were last listed: once it has changed, the runs' own modes are unknown until the next list. */
let modeAtList;
/** What the buttons act on, as model/targets.js says. */
let scope = targets([], runs.chosen, undefined);
let drawing = 0;
let detailsAt = 0;
let detailsTimer = 0;

const stream = new EventStream({
  url: () => `debug/events${observing ? "?mode=observe" : ""}`,
  headers: authorization,
  onFrame(frame) {
    feed.receive(frame);
    redraw();
  },
  onState(next, reason, code, wait) {
    status.connection(connection, next, reason, wait);
    [connection, why] = [next, reason];
    if (next !== "live") {
      feed.disconnected();
      // The next connection may be to another server, whose revisions start again.
      breakpoints.forgetRevision();
    }
    at("token-form").hidden = !(next === "ended" && (code === 401 || code === 403));
    redraw();
  },
});

wireToolbar({
  alert: showAlert,
  onSuccess: clearAlerts,
  move: (by) => (compare.shown ? compare.moveRows(by) : timeline.move(by, document.activeElement?.matches("#timeline .row"))),
  keys: new Map([
    ["b", () => breakpoints.toggle()],
    ["r", () => runsPanel.toggle()],
    ["f", () => !compare.shown && details.event && !details.event.lost && forkForm.open(details.event)],
    ["h", () => scope.next && pick(scope.next.seq)],
    ["d", () => at("details").focus()],
    ["y", () => decisions.press(at("details"), "proceed")],
    ["e", () => decisions.press(at("details"), "edit")],
    ["a", () => decisions.press(at("details"), "fulfil")],
    ["x", () => decisions.press(at("details"), "fail")],
    ["1", () => navigation.setView("tree")],
    ["2", () => navigation.setView("list")],
    ["3", () => navigation.setView("waterfall")],
    ["/", () => {
      compare.hide();
      searchBar.focus();
    }],
    ["m", () => (compare.shown ? compare.moveDifferences(1) : searchBar.go(1))],
    ["M", () => (compare.shown ? compare.moveDifferences(-1) : searchBar.go(-1))],
  ]),
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
// The selected row also leads back to its event from a held step that the trace has dropped.
at("timeline").addEventListener("click", () => details.event?.lost && details.show(timeline.selected));
at("zoom-in").addEventListener("click", () => timeline.zoom(1.5));
at("zoom-out").addEventListener("click", () => timeline.zoom(1 / 1.5));
at("zoom-fit").addEventListener("click", () => timeline.axis.fit());
at("debug-agent").addEventListener("click", attach);
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
document.addEventListener("visibilitychange", () => {
  runs.refresh();
  draw();
});
setInterval(() => status.tick(), 1000);
timeline.show(runs.chosen);
navigation.start();
aim();
redraw();
stream.connectNow();

function showObserving() {
  at("observing").hidden = !observing;
  at("observing-why").textContent = arrived
    ? "This page was opened from another site, so it observes the agent and does not pause it."
    : "This page observes the agent and does not pause it.";
  at("debug-hint").hidden = observing;
}

/** Turns an observer into a debugger. The stream resumes after the last frame, so that nothing is lost. */
function attach() {
  observing = false;
  rememberDebugging();
  showObserving();
  at("step").focus();
  status.announce("done", "This page is now a debugger of the agent.");
  stream.connectNow();
}

function takeEvent(frame) {
  runs.observe(frame);
  navigation.appended(frame.seq);
  // The state frame with its hold can come before the event.
  if (feed.holdOf(frame.seq)) aim();
}

/** A fork was made, on this page or elsewhere. Earlier forks are in the list of runs only. */
function takeFork({ run_id: run, forked_from: source, plan }) {
  runs.addFork({ run_id: run, forked_from: source });
  if (feed.state) status.announce("forked", `${runName(source.run_id)} was forked as run ${runName(run)}. ${visible(String(plan.summary))}.`);
}

/** The trace was dropped. */
function forget({ byServer }) {
  decisions.forget();
  runs.refresh();
  if (byServer) status.announce("done", "The trace was cleared.");
}

function takeState() {
  const { held, breakpoint_revision: revision } = feed.state;
  navigation.appended();
  const fresh = aim();
  details.holdsChanged(held);
  runs.refresh();
  breakpoints.takeRevision(revision);
  if (fresh.length === 0) return;
  const first = feed.holdOf(fresh[0]);
  status.announce(
    "held",
    fresh.length === 1
      ? `Step ${first.seq}, ${words(first.type)} ${visible(first.name ?? "")}, is held: ${holdReason(first)}.`
      : `${count(held.length, "step")} are held.`,
  );
}

/** Finds what the buttons act on, after a change of the holds, the chosen run or the selection. Returns the new holds. */
function aim() {
  const held = feed.state?.held ?? [];
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
  runSelect.draw();
  timeline.show(run);
  navigation.remember({ run });
  aim();
  runsPanel.draw();
  status.announce("run", `${run === null ? "All runs" : runName(run)}: ${count(timeline.length, "event")}.`);
  redraw();
}

/** Selects an event that a link names, in whichever run it is. Returns whether this page has it. */
function pick(seq) {
  const event = trace.get(seq);
  compare.hide();
  const hold = feed.holdOf(seq);
  // The trace has dropped it, and the agent still waits for a decision.
  if (!event && hold) details.show(eventOfHold(hold));
  if (event) navigation.go(event, true);
  return event !== undefined;
}

async function release(seq) {
  try {
    await call("POST", "release", { seq, action: "proceed" });
    status.announce("done", `Step ${seq} was released.`);
  } catch (error) {
    showAlert(error.message);
  }
}

function runsChanged() {
  modeAtList = feed.state?.mode;
  runSelect.draw();
  compare.traceChanged();
  runsPanel.draw();
  timeline.runsChanged();
  redraw();
}

/** A new breakpoint from an event: its type, and its name as a glob that matches this name only. */
function breakHere(event) {
  const name = members(event.raw).get("name") ?? "null";
  const glob = name === "null" ? "" : JSON.parse(name).replace(/[*?[]/g, "[$&]");
  breakpoints.compose({ types: [event.type], name: glob });
}

/**
 * Draws once per animation frame, however many frames came. A hidden tab has no animation frames, but its title is
 * seen, and says whether a step is held.
 */
function redraw() {
  drawing ||= document.hidden ? setTimeout(draw, HIDDEN_MS) : requestAnimationFrame(draw);
}

function draw() {
  drawing = 0;
  const { state } = feed;
  const { inScope, next } = scope;
  const { mode, finished } = runs.get(runs.chosen) ?? {};
  const stopped = relations.run(runs.chosen)?.stopped;
  const listed = modeAtList === state?.mode ? runs.all : [];
  status.draw({ connection, why, state, trace, scope: { run: chosenName(), mode, finished, stopped, inScope, next, runs: listed } });
  timeline.markCursor(trace.counters.cursorSeq);
  drawSummary({ trace, run: runs.chosen, shown: timeline.length, runs, connection });
}

/** Shows the selected event: at once if it is held or a person chose it, at intervals while the selection follows the newest. */
function selected(event, following) {
  navigation.selected(event, following);
  showDetails(event, following);
}

function showDetails(event, following) {
  aim();
  clearTimeout(detailsTimer);
  const wait = following && !event?.held ? detailsAt + DETAILS_MS - performance.now() : 0;
  if (wait > 0) {
    detailsTimer = setTimeout(() => showDetails(event, false), wait);
    return;
  }
  detailsAt = performance.now();
  details.show(event);
}

function drawFollow(following) {
  if (following) navigation.remember({ seq: null });
  at("follow").hidden = following;
}
