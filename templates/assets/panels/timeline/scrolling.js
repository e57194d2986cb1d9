// Tells scrolling by the person from scrolling by the page, and by the browser when rows are removed.

/** After these kinds of input, scrolling within so many ms is the person's; while a pointer is down, all of it is. */
const INPUT_MS = new Map([["wheel", 500], ["touchmove", 1500], ["pointerdown", Infinity], ["keydown", 300]]);
const RELEASED_MS = 300;

/** Calls `onScroll(byPerson)` whenever the list is scrolled. */
export function watchScrolling(list, onScroll) {
  let until = 0;
  for (const [type, ms] of INPUT_MS) {
    list.addEventListener(type, () => (until = performance.now() + ms), { passive: true });
  }
  for (const type of ["pointerup", "pointercancel"]) {
    addEventListener(type, () => (until = performance.now() + RELEASED_MS), { passive: true });
  }
  list.addEventListener("scroll", () => onScroll(performance.now() <= until), { passive: true });
}
