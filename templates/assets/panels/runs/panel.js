// The panel of runs: the state of each run, and buttons that act on that run only.

import { call } from "../../core/api.js";
import { count, duration, words } from "../../core/text.js";
import { runName } from "../../model/runs.js";
import { button, element } from "../../ui/dom.js";

/** The number of runs that are listed; the select in the toolbar has all of them. */
const LISTED = 200;

const at = (id) => document.getElementById(id);

export class RunsPanel {
  #runs;
  #relations;
  #held;
  #pick;
  #alert;
  #announce;
  #onOpen;
  #compare;
  #export;
  #rows = new Map();
  #chosen = "";

  /**
   * `held()` returns the holds, `pick(seq)` selects an event, `compare(left, right)` shows two runs side by side,
   * `exportRun(id, mask)` exports one; `onOpen()` when the panel opens.
   */
  constructor({ runs, relations, held, pick, alert, announce, onOpen, compare, exportRun }) {
    this.#compare = compare;
    this.#export = exportRun;
    this.#held = held;
    this.#pick = pick;
    this.#runs = runs;
    this.#relations = relations;
    this.#alert = alert;
    this.#announce = announce;
    this.#onOpen = onOpen;
    at("runs-button").addEventListener("click", () => this.toggle());
    at("close-runs").addEventListener("click", () => this.#close());
    at("all-runs").addEventListener("click", () => this.#runs.choose(null));
    at("compare-two").addEventListener("submit", (submit) => {
      submit.preventDefault();
      compare(at("compare-one").value, at("compare-other").value);
    });
  }

  /** Opens the panel and moves the focus there; from inside, closes it and moves the focus back. */
  toggle() {
    const panel = at("runs-panel");
    if (!panel.hidden && (panel.contains(document.activeElement) || document.activeElement === at("runs-button"))) return this.#close();
    this.#onOpen();
    panel.hidden = false;
    at("runs-button").ariaExpanded = "true";
    this.draw();
    return (panel.querySelector("[aria-pressed=true]") ?? panel.querySelector("#run-list button") ?? at("close-runs")).focus();
  }

  /** Closes the panel in favour of another one. */
  hide() {
    at("runs-panel").hidden = true;
    at("runs-button").ariaExpanded = "false";
  }

  /** Rows change in place, so that the focus survives. */
  draw() {
    const all = this.#runs.all;
    at("run-count").hidden = all.length < 2;
    at("run-count").textContent = all.length;
    if (at("runs-panel").hidden) return;
    at("no-runs").hidden = all.length > 0;
    // The newest runs come first.
    const shown = all.slice(-LISTED).reverse();
    at("more-runs").hidden = all.length <= LISTED;
    at("more-runs").textContent = `${count(all.length - LISTED, "older run")} in the list in the toolbar.`;
    at("all-runs").setAttribute("aria-pressed", String(this.#runs.chosen === null));
    this.#offer(all);
    const ids = new Set(shown.map((run) => run.run_id));
    for (const [id, row] of this.#rows) {
      if (ids.has(id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
    let before = null;
    for (const run of shown.toReversed()) {
      let row = this.#rows.get(run.run_id);
      if (!row) {
        row = this.#newRow(run.run_id);
        this.#rows.set(run.run_id, row);
        at("run-list").insertBefore(row, before);
      }
      before = row;
      this.#fill(row, run);
    }
  }

  /** Any two runs can be compared. A fork and its source are preselected, otherwise the last two. */
  #offer(all) {
    at("compare-two").hidden = all.length < 2;
    const ids = all.map((run) => run.run_id);
    const offered = JSON.stringify(ids);
    if (ids.length < 2 || this.#chosen === offered) return;
    const fork = all.findLast(({ forked_from: from }) => from && ids.includes(from.run_id));
    const standard = fork ? [fork.forked_from.run_id, fork.run_id] : ids.slice(-2);
    for (const [i, id] of ["compare-one", "compare-other"].entries()) {
      const select = at(id);
      const before = this.#chosen && ids.includes(select.value) ? select.value : standard[i];
      select.replaceChildren(...ids.map((one) => Object.assign(element("option", "", runName(one)), { value: one })));
      select.value = before;
    }
    this.#chosen = offered;
  }

  #newRow(id) {
    const row = element("li", "run-row", "");
    const name = button("", "plain run-name", () => this.#runs.choose(id));
    name.append(element("bdi", "", runName(id)));
    const actions = element("div", "run-actions", "");
    for (const verb of ["step", "continue", "pause"]) {
      const act = button(verb[0].toUpperCase() + verb.slice(1), "plain", () => this.#act(id, verb));
      act.dataset.verb = verb;
      act.setAttribute("aria-label", `${act.textContent} ${runName(id)}`);
      actions.append(act);
    }
    const show = button("Show", "plain", () => {
      const hold = this.#held().find((one) => one.run_id === id);
      if (hold) this.#pick(hold.seq);
    });
    show.dataset.verb = "show";
    show.setAttribute("aria-label", `Show the held step of ${runName(id)}`);
    actions.prepend(show);
    const head = element("div", "run-head", "");
    head.append(name, element("span", "badge", ""));
    const foot = element("div", "run-foot", "");
    const more = element("div", "run-more", "");
    more.hidden = true;
    const toggle = button("⋯", "plain", () => {
      more.hidden = !more.hidden;
      toggle.ariaExpanded = String(!more.hidden);
    });
    toggle.ariaExpanded = "false";
    toggle.title = "Export or compare";
    toggle.setAttribute("aria-label", `More actions for ${runName(id)}`);
    actions.append(toggle);
    const source = button("Compare with source", "plain", () => this.#compare(this.#runs.get(id).forked_from.run_id, id));
    source.dataset.verb = "source";
    source.setAttribute("aria-label", `Compare with source: ${runName(id)}`);
    const plain = button("Export", "plain", () => this.#export(id, false));
    plain.setAttribute("aria-label", `Export: ${runName(id)}`);
    const masked = button("Export with secrets masked", "plain", () => this.#export(id, true));
    masked.setAttribute("aria-label", `Export with secrets masked: ${runName(id)}`);
    masked.title = "Replaces secrets, which are recognised by field names and by patterns. A masked run can be viewed and compared, but not forked";
    more.append(source, plain, masked);
    foot.append(element("span", "hint", ""), actions);
    row.append(head, foot, more);
    return row;
  }

  #fill(row, run) {
    const seen = this.#relations.run(run.run_id);
    const waits = run.forked_from && run.events === 0;
    const state = run.held ? "held" : seen?.stopped ? "stopped" : run.finished ? "finished" : waits ? "not started" : run.mode;
    const badge = row.querySelector(".badge");
    badge.textContent = run.held ? `${run.held} held` : words(state);
    badge.dataset.state = state;
    const chosen = this.#runs.chosen === run.run_id;
    row.classList.toggle("chosen", chosen);
    row.querySelector(".run-name").setAttribute("aria-pressed", String(chosen));
    const facts = [count(run.events, "event")];
    if (seen?.errors) facts.push(count(seen.errors, "error"));
    if (seen?.last > seen?.first) facts.push(duration((seen.last - seen.first) * 1000));
    if (run.imported) facts.push(run.masked ? "imported, masked" : "imported");
    if (run.forked_from) facts.push(`forked from ${runName(run.forked_from.run_id)}${run.forked_from.seq ? ` at #${run.forked_from.seq}` : ""}`);
    row.querySelector(".hint").textContent = facts.join(" · ");
    const detached = run.mode === "detached";
    row.querySelector("[data-verb=source]").hidden = !run.forked_from || !this.#runs.get(run.forked_from.run_id);
    const put = (verb, useful) => (row.querySelector(`[data-verb=${verb}]`).hidden = !useful);
    // Only a release opens a gate, so that neither button is offered for it.
    const steppable = this.#held().some((hold) => hold.run_id === run.run_id && !hold.gate);
    put("show", run.held > 0);
    put("step", steppable);
    put("continue", steppable || (!run.held && !run.finished && !detached && run.mode !== "running"));
    put("pause", !run.finished && run.held === 0 && run.mode === "running");
  }

  async #act(id, verb) {
    try {
      await call("POST", verb, { run_id: id });
      this.#announce(`${runName(id)}: ${verb}.`);
    } catch (error) {
      this.#alert(error.message);
    }
  }

  #close() {
    this.hide();
    at("runs-button").focus();
  }
}
