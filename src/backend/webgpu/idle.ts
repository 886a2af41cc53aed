/** Gives memory back that nobody used for a while. */

/** Runs while there is something left to trim; never keeps a process alive. */
export class IdleTimer {
  readonly #idleMs: number;
  readonly #trim: (before: number) => boolean;
  #timer: unknown = null;

  /** `trim` frees what was not used since a time (of `performance.now()`) and says whether there is something left. */
  constructor(idleMs: number, trim: (before: number) => boolean) {
    this.#idleMs = idleMs;
    this.#trim = trim;
  }

  /** Starts to wait, if it does not already. */
  start(): void {
    if (this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (this.#trim(performance.now() - this.#idleMs)) this.start();
    }, this.#idleMs);
    letExit(this.#timer);
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer as number);
    this.#timer = null;
  }
}

/** Keeps a timer from holding up the end of the process: in Node it is an object, in Deno a number. */
function letExit(timer: unknown): void {
  if (typeof timer === "object" && timer !== null && "unref" in timer) (timer as { unref(): void }).unref();
  const { Deno } = globalThis as { Deno?: { unrefTimer?(id: number): void } };
  if (typeof timer === "number") Deno?.unrefTimer?.(timer);
}
