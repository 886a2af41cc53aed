/** What is done when the device has no memory left: free what is kept for reuse, and try once more. */

import { OutOfMemoryError } from "../../errors.ts";
import type { BackendMemory } from "../backend.ts";

/** What there is to free, and what to say when it was not enough. */
export interface RoomSource {
  /** Destroys buffers that nothing uses. */
  freeIdle(): void;
  figures(): BackendMemory;
}

/** Tries allocations. */
export class Room {
  readonly #device: GPUDevice;
  readonly #source: RoomSource;
  /** Settles when nobody frees memory: those who run out together take turns. */
  #turn: Promise<void> = Promise.resolve();

  constructor(device: GPUDevice, source: RoomSource) {
    this.#device = device;
    this.#source = source;
  }

  /** Does what allocates, and says whether there was memory for it. */
  attempt<T>(action: () => T): { readonly result: T; readonly succeeded: Promise<boolean> } {
    this.#device.pushErrorScope("out-of-memory");
    let popped = false;
    const pop = (): Promise<GPUError | null> => {
      popped = true;
      return this.#device.popErrorScope();
    };
    try {
      const result = action();
      return { result, succeeded: pop().then((error) => error === null) };
    } finally {
      // A scope that was pushed has to be popped, also if the action threw.
      if (!popped) void pop().catch(() => null);
    }
  }

  /** Frees what can be freed, and waits until the device has it. */
  makeRoom(): Promise<void> {
    this.#turn = this.#turn.then(async () => {
      this.#source.freeIdle();
      await this.#device.queue.onSubmittedWorkDone().catch(() => undefined);
    });
    return this.#turn;
  }

  /** Does what allocates; if there is no memory, frees some and does it again. Gives the error if that fails too. */
  async twice(what: string, bytes: number, action: () => void): Promise<OutOfMemoryError | null> {
    if (await this.attempt(action).succeeded) return null;
    await this.makeRoom();
    return (await this.attempt(action).succeeded) ? null : this.error(what, bytes);
  }

  /** The error of something that asked for `bytes`. */
  error(what: string, bytes: number): OutOfMemoryError {
    const { usedBytes, pooledBytes } = this.#source.figures();
    const figures = { asked: bytes, live: usedBytes, pooled: pooledBytes };
    return new OutOfMemoryError(what, "GPU", figures, ", also after free memory was given back");
  }
}
