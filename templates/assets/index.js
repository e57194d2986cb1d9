// The page of agents: the list, read again every two seconds while the page is visible.

import { curlLine } from "./core/text.js";
import { adoptTokenFromFragment, saveToken } from "./core/token.js";
import { clearAlerts, showAlert } from "./ui/alerts.js";
import { wireCopy } from "./ui/clipboard.js";
import { AgentList } from "./panels/agents/list.js";

const EVERY_MS = 2000;

const at = (id) => document.getElementById(id);
const list = new AgentList(at("agent-rows"));
let timer = 0;
let refreshing = false;

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
  if (refreshing) return;
  refreshing = true;
  try {
    draw(await list.refresh());
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    drawConnection("Reconnecting", "reconnecting");
  } finally {
    refreshing = false;
    if (!document.hidden) timer = setTimeout(refresh, EVERY_MS);
  }
}

function draw(refused) {
  at("token-form").hidden = refused?.status !== 401 && refused?.status !== 403;
  if (refused) {
    showAlert(refused.message);
    drawConnection("Refused", "ended");
    return;
  }
  clearAlerts();
  drawConnection("Live", "live");
  at("empty").hidden = list.size > 0;
  at("agents").hidden = list.size === 0;
}

function drawConnection(text, state) {
  at("connection").textContent = text;
  at("connection").dataset.state = state;
}
