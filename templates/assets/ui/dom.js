// Elements. Text is inserted as text only: no text is ever parsed as markup.

/** An element with a class, unless that is "", and a text. */
export function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

/** A button with its action. */
export function button(label, className, act) {
  const made = element("button", className, label);
  made.type = "button";
  made.addEventListener("click", act);
  return made;
}
