/** Attention and its gradients, in tiles. */

import { unpackAttention, type Attention, type AttentionAttrs, type AttentionSide } from "../../graph/attention.ts";
import type { KernelData, RoutineData, RoutineStructure } from "../../graph/kernel.ts";
import {
  attentionBytes,
  operandsOf,
  renderAttention,
  stridedOf,
  type AttentionTiling,
  type AttentionVariant,
} from "./attention-shader.ts";
import { classOf, digest } from "./choices.ts";
import type { Pipeline } from "./pipelines.ts";
import type { Slab } from "./pool.ts";
import { bound, type Compiler, type DeviceFigures, type DeviceProgram, type PreparedCall } from "./program.ts";
import { foldGrid, type WordWriter } from "./shader.ts";

/** Widest heads whose sums fit the registers of an invocation. */
const MOST_WIDTH = 128;

/** Tiles that are tried, the largest first. */
const TILINGS: readonly AttentionTiling[] = [
  { rows: 64, columns: 32 },
  { rows: 32, columns: 32 },
  { rows: 32, columns: 16 },
  { rows: 32, columns: 8 },
  { rows: 16, columns: 16 },
  { rows: 16, columns: 8 },
];

/** Work of a pair of a query and a key, in units of the budget, for each element of a head. */
const FORWARD_UNITS = 3;
const GRADIENT_UNITS = 6;

const product = (sizes: readonly number[]): number => sizes.reduce((n, size) => n * size, 1);

/** Whether every pass of attention fits a device: `width` is the widest of query, key and value. */
export function fitsAttention(device: DeviceFigures, width: number): boolean {
  const attrs: AttentionAttrs = { pass: "keyValue", mask: "none", rank: 0 };
  // The gradients read six tensors and a mask, and write one.
  if (width > MOST_WIDTH || device.maxBindings < 8) return false;
  return TILINGS.some((t) => attentionBytes(attrs, width, width, t) <= device.sharedBytes);
}

/** See `attention` in kernel.ts. */
export class AttentionProgram implements DeviceProgram {
  readonly structure: RoutineStructure;
  readonly #attrs: AttentionAttrs;
  readonly #compiler: Compiler;
  readonly #device: DeviceFigures;

  constructor(structure: RoutineStructure, compiler: Compiler, device: DeviceFigures) {
    this.structure = structure;
    this.#attrs = structure.attrs as unknown as AttentionAttrs;
    this.#compiler = compiler;
    this.#device = device;
  }

  warm(): void {
    // The widths decide.
  }

  prepare(data: KernelData, slabs: readonly Slab[], tag: number): PreparedCall {
    const { ints, scalars } = data as RoutineData;
    const a = unpackAttention(ints, this.#attrs);
    const batches = product(a.sizes);
    const isByKey = this.#attrs.pass === "keyValue";
    const rows = isByKey ? a.keys : a.queries;
    const tiling = this.#tiling(a, rows, batches);
    const pipeline = this.#pipeline(a, tiling);
    const tiles = Math.ceil(rows / tiling.rows);
    const groups = tiles * batches;
    const units = this.#attrs.pass === "forward" ? FORWARD_UNITS : GRADIENT_UNITS;
    const workOfGroup = tiling.rows * (isByKey ? a.queries : a.keys) * (a.width + a.valueWidth) * units;
    const most = Math.max(1, Math.floor(this.#device.budget.units / workOfGroup));
    const words =
      (first: number) =>
      (w: WordWriter): void => {
        for (const value of [first, tiles, batches, a.queries, a.keys, a.reach, batches * a.queries * a.valueWidth])
          w.u32(value);
        w.f32(scalars[0]!);
        for (const size of a.sizes) w.u32(size);
        for (const name of stridedOf(this.#attrs)) {
          const side = a[name as keyof Attention] as AttentionSide;
          for (const value of [side.offset, side.row, side.column, ...side.batch]) w.i32(value);
        }
      };
    return {
      pipelines: [pipeline],
      scratch: false,
      record: (recorder) => {
        for (let first = 0; first < groups; first += most) {
          const count = Math.min(most, groups - first);
          const grid = foldGrid(count, this.#device.maxGroupsPerDimension);
          recorder.dispatch(
            pipeline,
            bound(pipeline.shader, slabs, null),
            grid,
            tag,
            words(first),
            count * workOfGroup,
          );
        }
      },
    };
  }

  /** By what was measured, or else the largest tiles that fit the memory and make enough workgroups; the smallest that fit if none do. */
  #tiling(a: Attention, rows: number, batches: number): AttentionTiling {
    const fitting = TILINGS.filter(
      (t) => attentionBytes(this.#attrs, a.width, a.valueWidth, t) <= this.#device.sharedBytes,
    );
    const busy = fitting.find((t) => Math.ceil(rows / t.rows) * batches >= this.#device.busyGroups);
    const usual = busy ?? fitting.findLast((t) => t.rows === fitting[fitting.length - 1]!.rows)!;
    return this.#device.choices.pick({
      key: () => {
        const sizes = [a.queries, a.keys, batches].map(classOf).join(",");
        return `attention ${digest(this.structure.key)} ${a.width},${a.valueWidth} ${sizes}`;
      },
      usual: this.#device.isSoftware ? TILINGS[TILINGS.length - 1]! : usual,
      all: () => fitting,
      name: (t) => `${t.rows}x${t.columns}`,
    });
  }

  #pipeline(a: Attention, tiling: AttentionTiling): Pipeline {
    const wide = operandsOf(this.#attrs).map((name) => {
      if (name === "mask" || name === "out" || name === "packed" || name === "delta") return false;
      const side = a[name as keyof Attention] as AttentionSide;
      const width = name === "value" || name === "grad" ? a.valueWidth : a.width;
      return side.column === 1 && [width, side.offset, side.row, ...side.batch].every((n) => n % 4 === 0);
    });
    const variant: AttentionVariant = {
      attrs: this.#attrs,
      tiling,
      width: a.width,
      valueWidth: a.valueWidth,
      wide,
    };
    const { rows, columns } = tiling;
    const loads = wide.map(Number).join("");
    const key = `${this.structure.key}|${rows}x${columns}|${a.width},${a.valueWidth}|${loads}`;
    return this.#compiler.pipeline(key, () => renderAttention(key, this.structure.buffers, variant));
  }
}
