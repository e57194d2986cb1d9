// The list of agents, asked for again every two seconds while somebody looks at it.

import { clearAlerts, showAlert } from "./alerts.js";
import { wireCopy } from "./clipboard.js";
import { adoptTokenFromFragment, authorization, saveToken } from "./session.js";
import { refusal } from "./stream.js";
import { curlLine, duration, visible, words } from "./text.js";

const EVERY_MS = 2000;
/** The server's own limit is 1,000 agents; more pages than that are not asked for. */
const PAGE_SIZE = 1000;
const MOST_PAGES = 5;

const at = (id) => document.getElementById(id);
const rows = new Map();
let timer = 0;
let asking = false;

adoptTokenFromFragment();
at("curl").textContent = curlLine(location.origin, "my-agent");
wireCopy(at("copy-curl"), () => at("curl").textContent, "Copy");
at("token-form").addEventListener("submit", (submit) => {
  submit.preventDefault();
  saveToken(at("token").value.trim());
  at("token").value = "";
  refresh();
});
addEventListener("hashchange", () => adoptTokenFromFragment() && refresh());
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : refresh()));
refresh();

async function refresh() {
  clearTimeout(timer);
  if (asking) return;
  asking = true;
  try {
    const response = await draw();
    at("token-form").hidden = response.ok || (response.status !== 401 && response.status !== 403);
    if (!response.ok) showAlert(await refusal(response));
    else clearAlerts();
    at("connection").textContent = response.ok ? "Live" : "Refused";
    at("connection").dataset.state = response.ok ? "live" : "ended";
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    at("connection").textContent = "Reconnecting";
    at("connection").dataset.state = "reconnecting";
  } finally {
    asking = false;
    if (!document.hidden) timer = setTimeout(refresh, EVERY_MS);
  }
}

/** Asks for every page and draws them. Returns the last answer; one that is not ok changes nothing. */
async function draw() {
  const agents = [];
  let token = "";
  let response;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const query = new URLSearchParams({ page_size: PAGE_SIZE, ...(token && { page_token: token }) });
    response = await fetch(`/agents?${query}`, { headers: authorization(), cache: "no-store" });
    if (!response.ok) return response;
    const answer = await response.json();
    agents.push(...answer.agents);
    token = answer.next_page_token;
    if (!token) break;
  }
  at("empty").hidden = agents.length > 0;
  at("agents").hidden = agents.length === 0;
  const known = new Set(agents.map((agent) => agent.agent_id));
  for (const [id, row] of rows) {
    if (known.has(id)) continue;
    row.remove();
    rows.delete(id);
  }
  // Rows stay where they are and change in place, so that focus and a half-made click survive a refresh.
  let before = at("agent-rows").firstElementChild;
  for (const agent of agents) {
    const row = rows.get(agent.agent_id) ?? newRow(agent.agent_id);
    if (row === before) before = row.nextElementSibling;
    else at("agent-rows").insertBefore(row, before);
    fill(row, agent);
  }
  return response;
}

function newRow(id) {
  // The roles are those of the elements; a narrow screen lays rows out as grids, which would take them away.
  const row = document.createElement("tr");
  row.setAttribute("role", "row");
  const head = document.createElement("th");
  head.scope = "row";
  head.setAttribute("role", "rowheader");
  const link = document.createElement("a");
  link.href = `/agent/${encodeURIComponent(id)}/debug`;
  const name = document.createElement("bdi");
  name.textContent = visible(id);
  link.append(name);
  head.append(link);
  row.append(head);
  for (const column of ["mode", "held", "events", "subscribers", "last"]) {
    const cell = document.createElement("td");
    cell.dataset.column = column;
    cell.setAttribute("role", "cell");
    cell.append(document.createElement("span"));
    row.append(cell);
  }
  rows.set(id, row);
  return row;
}

function fill(row, agent) {
  const now = Date.now() / 1000;
  const put = (column, text, state) => {
    const cell = row.querySelector(`[data-column=${column}] > span`);
    if (cell.textContent !== text) cell.textContent = text;
    if (state !== undefined) cell.dataset.state = state;
  };
  const mode = String(agent.mode ?? "unknown");
  put("mode", words(mode).replace(/^./, (c) => c.toUpperCase()), mode);
  put("held", agent.held ? `${agent.held} held` : "–", agent.held ? "some" : "none");
  put("events", agent.total_events.toLocaleString("en"));
  put("subscribers", [agent.debuggers && `${agent.debuggers} debugging`, agent.observers && `${agent.observers} observing`]
    .filter(Boolean).join(", ") || "–");
  const seconds = agent.last_event_ts;
  put("last", seconds == null ? "–" : ago(now - seconds));
}

/** Whole seconds are enough for a list that is asked for every two. */
function ago(seconds) {
  return seconds < 1 ? "just now" : `${duration(seconds * 1000).replace(/\.\d/, "")} ago`;
}
