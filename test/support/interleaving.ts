/** Random work on buffers, and a model of what they hold. */

import fc from "fast-check";
import { expect } from "vitest";
import type { Backend, Call, DeviceBuffer } from "../../src/backend/backend.ts";
import type { DType } from "../../src/dtype.ts";
import { callOf, elements, fusedKernel, host } from "./kernels.ts";

const DTYPES = ["float32", "int32", "uint8", "bool"] as const;

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** Something to do with buffers. */
export interface Action {
  readonly kind: "upload" | "map" | "increment" | "release" | "read" | "trim" | "wait" | "await";
  readonly size: number;
  readonly dtype: DType;
  /** Picks a live buffer. */
  readonly pick: number;
  readonly seed: number;
}

/** Random actions on buffers of all sizes and dtypes. */
export const actions = fc.array(
  fc.record<Action>({
    kind: fc.constantFrom("upload", "upload", "map", "map", "increment", "release", "read", "trim", "wait", "await"),
    size: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 2000 })),
    dtype: fc.constantFrom(...DTYPES),
    pick: fc.nat(),
    seed: fc.nat({ max: 200 }),
  }),
  { minLength: 10, maxLength: 60 },
);

/** Changes a value such that every dtype holds the result. */
function mapCall(backend: Backend, dtype: DType, count: number, buffers: readonly DeviceBuffer[]): Call {
  const isBool = dtype === "bool";
  const { structure, data } = fusedKernel({
    outer: [count],
    reads: [{ dtype, strides: [-1], offset: count - 1 }],
    writes: [{ dtype, strides: [1] }],
    body: (b, [x]) => [isBool ? b.un("not", x!) : b.add(x!, b.lit(1, x!))],
  });
  return callOf(backend, structure, data, buffers);
}

function incrementCall(backend: Backend, dtype: DType, count: number, buffer: DeviceBuffer): Call {
  const isBool = dtype === "bool";
  const { structure, data } = fusedKernel({
    outer: [count],
    reads: [{ dtype, strides: [1] }],
    writes: [{ dtype, strides: [1] }],
    inPlace: { 0: 0 },
    body: (b, [x]) => [isBool ? b.un("not", x!) : b.add(x!, b.lit(1, x!))],
  });
  return callOf(backend, structure, data, [buffer]);
}

const next = (dtype: DType, x: number): number =>
  dtype === "bool" ? 1 - x : dtype === "uint8" ? (x + 1) & 255 : x + 1;

interface Live {
  readonly buffers: readonly DeviceBuffer[];
  readonly dtype: DType;
  values: number[];
}

/** What to look at beside the contents. */
export interface Watch {
  /** After each action. */
  check?(): void;
  /** A read's error; without this, it fails the test. */
  failed?(error: unknown): void;
}

/** Plays actions on several backends at once, waiting only where they say so; every read is compared with the model. */
export async function play(backends: readonly Backend[], list: readonly Action[], watch: Watch = {}): Promise<void> {
  const live: Live[] = [];
  const reads: Promise<void>[] = [];
  const allocate = (dtype: DType, count: number): DeviceBuffer[] =>
    backends.map((b) => b.allocate(b.bytesFor(dtype, count)));
  for (const { kind, size, dtype, pick, seed } of list) {
    const chosen = live[pick % Math.max(live.length, 1)];
    switch (kind) {
      case "upload": {
        const values = range(size).map((i) => (dtype === "bool" ? (i * seed) & 1 : (i + seed) % 256));
        const entry = { buffers: allocate(dtype, size), dtype, values };
        backends.forEach((b, i) => {
          const data = host(dtype, values);
          b.upload(entry.buffers[i]!, dtype, data);
          data.fill(0); // what is uploaded was taken at the call
        });
        live.push(entry);
        break;
      }
      case "map": {
        if (chosen === undefined) break;
        const count = chosen.values.length;
        const entry = {
          buffers: allocate(chosen.dtype, count),
          dtype: chosen.dtype,
          values: chosen.values.toReversed().map((x) => next(chosen.dtype, x)),
        };
        backends.forEach((b, i) => b.run([mapCall(b, chosen.dtype, count, [chosen.buffers[i]!, entry.buffers[i]!])]));
        live.push(entry);
        break;
      }
      case "increment":
        if (chosen === undefined) break;
        backends.forEach((b, i) => b.run([incrementCall(b, chosen.dtype, chosen.values.length, chosen.buffers[i]!)]));
        chosen.values = chosen.values.map((x) => next(chosen.dtype, x));
        break;
      case "release":
        if (chosen === undefined) break;
        backends.forEach((b, i) => b.release(chosen.buffers[i]!));
        live.splice(live.indexOf(chosen), 1);
        break;
      case "read":
      case "await": {
        if (chosen === undefined) break;
        const { values } = chosen;
        const all = backends.map(async (b, i) => {
          if (b.type === "null") return;
          const read = elements(b, chosen.buffers[i]!, chosen.dtype, values.length);
          const got = await read.catch((error: unknown) => {
            if (watch.failed === undefined) throw error;
            watch.failed(error);
            return values;
          });
          expect(got).toEqual(values);
        });
        reads.push(...all);
        if (kind === "await") await Promise.all(all);
        break;
      }
      case "trim":
        for (const b of backends) b.trim(size * 4);
        break;
      case "wait":
        await new Promise((done) => setTimeout(done, 1));
    }
    watch.check?.();
  }
  await Promise.all(reads);
  for (const { buffers } of live) backends.forEach((b, i) => b.release(buffers[i]!));
  watch.check?.();
}
