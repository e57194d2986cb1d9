// The list of agents. Rows change in place, so that focus and a half-made click survive a refresh.

import { readRefusal } from "../../core/refusal.js";
import { duration, visible, words } from "../../core/text.js";
import { authorization } from "../../core/token.js";
import { element } from "../../ui/dom.js";

/** The server's own limit is 1,000 agents, so that one page has them all. */
const PAGE_SIZE = 1000;
const MAX_PAGES = 5;
const COLUMNS = ["mode", "held", "events", "subscribers", "last"];

export class AgentList {
  #body;
  #rows = new Map();

  /** `body` is the table body of the list. */
  constructor(body) {
    this.#body = body;
  }

  get size() {
    return this.#rows.size;
  }

  /** Reads the list and draws it. Returns null, or the refusal of the server, which changes nothing. */
  async refresh() {
    const agents = [];
    let token = "";
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const query = new URLSearchParams({ page_size: PAGE_SIZE, ...(token && { page_token: token }) });
      const response = await fetch(`/agents?${query}`, { headers: authorization(), cache: "no-store" });
      if (!response.ok) return readRefusal(response);
      const list = await response.json();
      agents.push(...list.agents);
      token = list.next_page_token;
      if (!token) break;
    }
    this.#draw(agents);
    return null;
  }

  #draw(agents) {
    const known = new Set(agents.map((agent) => agent.agent_id));
    for (const [id, row] of this.#rows) {
      if (known.has(id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
    let before = this.#body.firstElementChild;
    for (const agent of agents) {
      const row = this.#rows.get(agent.agent_id) ?? this.#newRow(agent.agent_id);
      if (row === before) before = row.nextElementSibling;
      else this.#body.insertBefore(row, before);
      fill(row, agent);
    }
  }

  #newRow(id) {
    // The roles are those of the elements: on a narrow screen rows are laid out as grids, which would remove them.
    const row = element("tr", "", "");
    row.setAttribute("role", "row");
    const head = element("th", "", "");
    head.scope = "row";
    head.setAttribute("role", "rowheader");
    const link = element("a", "", "");
    link.href = `/agent/${encodeURIComponent(id)}/debug`;
    link.append(element("bdi", "", visible(id)));
    head.append(link);
    row.append(head);
    for (const column of COLUMNS) {
      const cell = element("td", "", "");
      cell.dataset.column = column;
      cell.setAttribute("role", "cell");
      cell.append(element("span", "", ""));
      row.append(cell);
    }
    this.#rows.set(id, row);
    return row;
  }
}

function fill(row, agent) {
  const put = (column, text, state) => {
    const cell = row.querySelector(`[data-column=${column}] > span`);
    if (cell.textContent !== text) cell.textContent = text;
    if (state !== undefined) cell.dataset.state = state;
  };
  const mode = String(agent.mode ?? "unknown");
  put("mode", words(mode).replace(/^./, (c) => c.toUpperCase()), mode);
  put("held", agent.held ? `${agent.held} held` : "–", agent.held ? "some" : "none");
  put("events", agent.total_events.toLocaleString("en"));
  const subscribers = [agent.debuggers && `${agent.debuggers} debugging`, agent.observers && `${agent.observers} observing`];
  put("subscribers", subscribers.filter(Boolean).join(", ") || "–");
  const seconds = agent.last_event_ts;
  put("last", seconds == null ? "–" : ago(Date.now() / 1000 - seconds));
}

/** Whole seconds: the list is read every two. */
function ago(seconds) {
  return seconds < 1 ? "just now" : `${duration(seconds * 1000).replace(/\.\d/, "")} ago`;
}
