// The bearer token that the page presents to a server that requires one.
//
// The token arrives in the fragment of a link (`#token=…`), which no browser sends over the network. It moves to
// sessionStorage at once, and out of the address bar, so that neither a bookmark nor a screenshot carries it.

const KEY = "agent-debugger.token";

/** Takes a token out of the page's fragment, if there is one. Returns whether there was. */
export function adoptTokenFromFragment() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const token = parameters.get("token");
  if (token === null) return false;
  saveToken(token);
  parameters.delete("token");
  const rest = parameters.toString();
  history.replaceState(history.state, "", location.pathname + location.search + (rest ? `#${rest}` : ""));
  return true;
}

/** Keeps a token for as long as this tab lives. An empty one forgets it. */
export function saveToken(token) {
  try {
    if (token) sessionStorage.setItem(KEY, token);
    else sessionStorage.removeItem(KEY);
  } catch {
    // The browser's settings can forbid storage. The page then works where no token is required.
  }
}

/** The headers that every request to the server carries. */
export function authorization() {
  let token = null;
  try {
    token = sessionStorage.getItem(KEY);
  } catch {
    // As above.
  }
  // A header cannot carry anything but printable ASCII; such a token is wrong anyway and the server will say so.
  return token && /^[\x21-\x7e]+$/.test(token) ? { Authorization: `Bearer ${token}` } : {};
}
