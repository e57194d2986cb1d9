// Errors at the top of the page, which screen readers read out: a few at most, each with a button that dismisses it.

const MOST = 3;

/** Shows an error until it is dismissed or a later action succeeds. */
export function showAlert(text) {
  const region = document.getElementById("alerts");
  for (const shown of region.children) if (shown.firstChild.textContent === text) shown.remove();
  const alert = document.createElement("p");
  const message = document.createElement("span");
  message.textContent = text;
  const dismiss = document.createElement("button");
  dismiss.type = "button";
  dismiss.className = "plain";
  dismiss.textContent = "Dismiss";
  dismiss.addEventListener("click", () => alert.remove());
  alert.append(message, dismiss);
  region.append(alert);
  while (region.children.length > MOST) region.firstChild.remove();
}

export function clearAlerts() {
  document.getElementById("alerts").replaceChildren();
}
