// Copy buttons. For a moment the label says that it worked; screen readers read that out, as the button has the focus.

/** A button that copies what `text()` returns. */
export function copyButton(text, label) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "plain copy";
  wireCopy(button, text, label);
  return button;
}

/** Makes an existing button a copy button. */
export function wireCopy(button, text, label) {
  button.textContent = label;
  button.addEventListener("click", async () => {
    const done = await copy(text());
    button.textContent = done ? "Copied" : "Copying failed";
    setTimeout(() => (button.textContent = label), 1500);
  });
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // The clipboard API needs https or localhost; elsewhere a selected field still works.
    const field = document.createElement("textarea");
    field.value = text;
    field.className = "visually-hidden";
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}
