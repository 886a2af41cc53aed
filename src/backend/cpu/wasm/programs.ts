/** Modules that are compiled once for a heap. */

import type { WasmHeap } from "../memory.ts";
import { SharedProgram } from "../threads.ts";
import type { Entries } from "./tasks.ts";

/** Modules by name, each compiled when it is first asked for. */
export class Programs {
  readonly #heap: WasmHeap;
  readonly #programs = new Map<string, SharedProgram | null>();

  constructor(heap: WasmHeap) {
    this.#heap = heap;
  }

  /** The module of this name; null as long as it is compiled in the background. */
  get(name: string, render: () => Uint8Array<ArrayBuffer>): SharedProgram | null {
    const known = this.#programs.get(name);
    if (known !== undefined) return known;
    const bytes = render();
    const open = (module: WebAssembly.Module): SharedProgram => {
      const { exports } = new WebAssembly.Instance(module, { m: { memory: this.#heap.memory } });
      const program = new SharedProgram(exports as Entries, bytes);
      this.#programs.set(name, program);
      return program;
    };
    try {
      return open(new WebAssembly.Module(bytes));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      // Too large to be compiled at once on this thread.
      this.#programs.set(name, null);
      WebAssembly.compile(bytes).then(open, () => undefined);
      return null;
    }
  }
}
