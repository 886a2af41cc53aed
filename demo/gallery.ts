/** The gallery: a card for each demo. */

import { demos, type Demo } from "./demos.ts";
import { pictureOf } from "./gallery-pictures.ts";
import { byId, element } from "./shared/dom.ts";
import { openDevice, setState, setStatus, showError, watchErrors } from "./shared/page.ts";

function cardOf({ folder, title, summary, uses }: Demo): HTMLElement {
  return element(
    "li",
    { class: "card", "data-demo": folder },
    pictureOf(folder),
    element("h2", {}, element("a", { href: `./${folder}/${location.search}` }, title)),
    element("p", {}, summary),
    element("ul", { class: "uses", "aria-label": "Uses" }, ...uses.map((use) => element("li", {}, use))),
  );
}

async function main(): Promise<void> {
  byId("gallery").replaceChildren(...demos.map(cardOf));
  const device = await openDevice();
  if (device === null) {
    setStatus("There is no such device here: choose another one above.");
    return;
  }
  setStatus(`The demos will run on ${device.type === "webgpu" ? "WebGPU" : "the CPU"}.`);
  setState("done");
}

watchErrors();
main().catch(showError);
