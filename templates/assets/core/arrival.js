// Whether the page was opened by another site.
//
// An agent is paused when a debugger attaches, and a link or a script of another site must not be able to do that. A page
// that was opened by another site therefore observes until the person presses "Debug this agent". There are two signals:
//
//   data-arrival="cross-site" on <html>   written by the server for `Sec-Fetch-Site: cross-site` or `same-site`, which no
//                                         site can forge or suppress
//   document.referrer                     for browsers that do not send that header; the other site can suppress it
//
// That the button was pressed is kept in this entry of the tab's history, which no other site can write, so that a reload
// does not detach the debugger.

const OBSERVE = "observe";

/** Whether the address asks to observe: `?mode=observe`. */
export function observesByAddress() {
  return new URLSearchParams(location.search).get("mode") === OBSERVE;
}

/** Whether the page was opened by another site, and "Debug this agent" has not been pressed since. */
export function arrivedFromElsewhere({ arrival, referrer }) {
  if (history.state?.debug === true) return false;
  return arrival === "cross-site" || isForeign(referrer);
}

/** Keeps the decision to debug, also where the address asks to observe. */
export function rememberDebugging() {
  const url = new URL(location);
  if (observesByAddress()) url.searchParams.delete("mode");
  history.replaceState({ ...history.state, debug: true }, "", url);
}

function isForeign(referrer) {
  if (!referrer) return false;
  try {
    return new URL(referrer).origin !== location.origin;
  } catch {
    return true;
  }
}
