// Copy buttons. The label says for a moment that it worked, which is also read out, the button having the focus.

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
    button.textContent = done ? "Copied" : "Cannot copy here";
    setTimeout(() => (button.textContent = label), 1500);
  });
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // The clipboard API is missing on plain http from another machine; a selected field still works there.
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
