/** Work that goes on frame by frame, and can be paused. */

import { byId, nextFrame } from "./dom.ts";
import { setState, setStatus, showError } from "./page.ts";

/** A loop with a button (the page's element `play`) that starts and pauses it. */
export class Loop {
  readonly #step: () => Promise<boolean>;
  readonly #button = byId("play") as HTMLButtonElement;
  #wanted = false;
  #task: Promise<void> | null = null;

  /** `step` does the work of a frame and says whether there is more. An error in it is shown, and ends the loop. */
  constructor(step: () => Promise<boolean>) {
    this.#step = step;
    this.#button.addEventListener("click", () => {
      if (this.#wanted) this.pause().catch(showError);
      else this.start();
    });
  }

  /** Goes on, if it does not already. The page is "running" until the work is done or the loop is paused, then "done". */
  start(): void {
    this.#wanted = true;
    this.#show();
    this.#task ??= this.#run()
      .catch(showError)
      .finally(() => {
        this.#task = null;
        this.#wanted = false;
        this.#show();
      });
  }

  /** Pauses after the frame that is being worked on; resolves then. */
  async pause(): Promise<void> {
    this.#wanted = false;
    this.#show();
    await this.#task;
  }

  async #run(): Promise<void> {
    setState("running");
    while (this.#wanted && (await this.#step())) await nextFrame();
    setState("done");
  }

  #show(): void {
    this.#button.disabled = false;
    this.#button.textContent = this.#wanted ? "Pause" : "Go on";
    setStatus(this.#wanted ? "Training …" : "Paused.");
  }
}

/** The number that the address gives for a name, as in `?steps=100`; throws an `Error` unless it is a whole one of 1 or more. */
export function countOf(name: string, otherwise: number): number {
  const given = new URLSearchParams(location.search).get(name);
  if (given === null) return otherwise;
  const count = Number(given);
  if (!Number.isSafeInteger(count) || count < 1)
    throw new Error(`?${name}=${given}: give a whole number of 1 or more, such as ?${name}=${otherwise}`);
  return count;
}
