// Errors, where they are seen and read out. A few at most, and each can be sent away.

const MOST = 3;

/** Shows an error until it is dismissed, or until a later action succeeds. */
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
