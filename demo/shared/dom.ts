/** Making elements of a page. */

/** An attribute's value; `false` and `undefined` leave it out, `true` sets it empty. */
export type Attribute = string | number | boolean | undefined;

/** An element with attributes and children; strings become text. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, Attribute>> = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children);
  return made;
}

/** The page's element with an id. Throws an `Error` if the page has none. */
export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no element with the id "${id}"`);
  return found;
}

/** Lets the browser draw what has changed. In a page that is not shown, and so not drawn, it goes on at once. */
export function nextFrame(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  requestAnimationFrame(() => setTimeout(resolve));
  setTimeout(resolve, 100);
  return promise;
}

const scrollers = new Set<HTMLElement>();
let observer: ResizeObserver | null = null;

function setReachable(target: HTMLElement): void {
  if (target.scrollWidth > target.clientWidth) target.setAttribute("tabindex", "0");
  else target.removeAttribute("tabindex");
}

/** Lets the keyboard reach an element while its content is wider than it is, so that it can be scrolled. */
export function keepScrollable(target: HTMLElement): void {
  if (!observer) {
    observer = new ResizeObserver((entries) => entries.forEach(({ target }) => setReachable(target as HTMLElement)));
    // A font that arrives late widens the content, and no box changes its size.
    document.fonts.addEventListener("loadingdone", () => scrollers.forEach(setReachable));
  }
  scrollers.add(target);
  observer.observe(target);
}
