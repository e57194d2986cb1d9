// Pointer and keyboard in the timeline, by the conventions of trees and listboxes.

import { foldOf } from "../../model/tree.js";

/** Wires the element of the rows to the timeline. */
export function wireTimeline(list, timeline) {
  list.addEventListener("click", (click) => {
    const item = click.target.closest(".row")?.item;
    if (!item) return;
    if (click.target.closest(".fold") || item.items) {
      timeline.fold(item);
      if (item.items) timeline.goTo(item, true);
    } else {
      timeline.goTo(item, true);
    }
  });
  list.addEventListener("dblclick", (click) => {
    const item = click.target.closest(".row")?.item;
    if (item && !item.items && !click.target.closest(".fold")) timeline.fold(item);
  });
  list.addEventListener("keydown", (key) => {
    if (key.ctrlKey || key.metaKey || key.altKey) return;
    if (act(key, list, timeline)) key.preventDefault();
  });
}

function act({ key, shiftKey }, list, timeline) {
  const page = timeline.page;
  const moves = new Map([["ArrowDown", 1], ["ArrowUp", -1], ["PageDown", page], ["PageUp", -page], ["End", Infinity], ["Home", -Infinity]]);
  if (moves.has(key)) {
    timeline.move(moves.get(key), true);
    return true;
  }
  if (key === "Enter") {
    document.getElementById("details").focus();
    return true;
  }
  if (timeline.view === "list") return false;
  if (timeline.view === "waterfall" && zoomed(key, shiftKey, timeline.axis, timeline)) return true;
  const item = timeline.current;
  if (!item) return false;
  if (key === "ArrowRight") {
    if (!timeline.fold(item, false) && foldOf(item)) timeline.goTo(timeline.near(item, 1), true);
  } else if (key === "ArrowLeft") {
    if (!timeline.fold(item, true)) timeline.goTo(timeline.near(item, -1, (other) => other.level < item.level), true);
    else if (!item.items) timeline.goTo(item, true);
  } else if (key === "*") {
    timeline.foldAll(item, false);
  } else if (key === "_") {
    timeline.foldAll(item, true);
  } else {
    return false;
  }
  return true;
}

function zoomed(key, shift, axis, timeline) {
  if (key === "+" || key === "=") timeline.zoom(1.5);
  else if (key === "-") timeline.zoom(1 / 1.5);
  else if (key === "0") axis.fit();
  else if (key === "z") timeline.zoomToSelected();
  else if (shift && key === "ArrowRight") axis.pan(0.2);
  else if (shift && key === "ArrowLeft") axis.pan(-0.2);
  else return false;
  return true;
}
