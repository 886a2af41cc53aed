/** Runs fused kernels: picks the way of walking the rows by the data's sizes and strides. */

import type { FusedData, FusedStructure, KernelData } from "../../graph/kernel.ts";
import { analyse, type FusedPlan } from "./fused.ts";
import type { Pipeline } from "./pipelines.ts";
import type { Slab } from "./pool.ts";
import {
  bound,
  sharedPlaces,
  type CallRecorder,
  type Compiler,
  type DeviceFigures,
  type DeviceProgram,
  type PreparedCall,
  type Scratch,
} from "./program.ts";
import { renderFused, variantKey, workgroupSize, writeFusedWords, type Figures, type Variant } from "./render.ts";
import { foldGrid, WORKGROUP } from "./shader.ts";

/** One dispatch of a call. */
interface Step {
  readonly variant: Variant;
  readonly groups: number;
  readonly figures: Figures;
}

/** A call whose shaders are chosen, but not its memory. */
export interface FusedCall {
  readonly pipelines: readonly Pipeline[];
  record(recorder: CallRecorder, scratch: Scratch, slabs: readonly Slab[], tag: number): void;
}

const product = (sizes: readonly number[]): number => sizes.reduce((n, size) => n * size, 1);

export class FusedProgram implements DeviceProgram {
  readonly structure: FusedStructure;
  readonly #plan: FusedPlan;
  readonly #compiler: Compiler;
  readonly #device: DeviceFigures;
  readonly #pipelines = new Map<string, Pipeline>();

  constructor(structure: FusedStructure, compiler: Compiler, device: DeviceFigures) {
    this.structure = structure;
    this.#plan = analyse(structure);
    this.#compiler = compiler;
    this.#device = device;
  }

  warm(): void {
    if (this.structure.innerRank > 0) return; // the sizes decide
    this.#pipeline(
      { kind: "map" },
      this.structure.buffers.map((_, slot) => slot),
    );
  }

  prepare(data: KernelData, slabs: readonly Slab[], tag: number): PreparedCall {
    const chosen = this.choose(data as FusedData, sharedPlaces(this.structure, slabs));
    return {
      pipelines: chosen.pipelines,
      record: (recorder, scratch) => chosen.record(recorder, scratch, slabs, tag),
    };
  }

  /** The same for callers that know the memory only when they record. */
  choose(data: FusedData, places: readonly number[] = this.structure.buffers.map((_, slot) => slot)): FusedCall {
    const steps = planSteps(this.#plan, data, this.#device);
    const pipelines = steps.map((step) => this.#pipeline(step.variant, places));
    const record: FusedCall["record"] = (recorder, scratch, slabs, tag) => {
      const { rows, chunks } = steps[0]!.figures;
      const memory = steps.length > 1 ? scratch.take(4 * this.#plan.words * rows * (chunks + 1)) : null;
      steps.forEach((step, i) => {
        const pipeline = pipelines[i]!;
        const grid = foldGrid(step.groups, this.#device.maxGroupsPerDimension);
        recorder.dispatch(pipeline, bound(pipeline.shader, slabs, memory), grid, tag, (w) =>
          writeFusedWords(w, this.structure, data, step.figures),
        );
      });
      if (memory !== null) scratch.give(memory);
    };
    return { pipelines, record };
  }

  #pipeline(variant: Variant, places: readonly number[]): Pipeline {
    const shared = places.some((p, slot) => p !== slot) ? places.join(",") : "";
    const key = `${variantKey(variant)}|${shared}`;
    let pipeline = this.#pipelines.get(key);
    if (pipeline === undefined) {
      pipeline = this.#compiler.pipeline(`${this.structure.key}|${key}`, () =>
        renderFused(this.#plan, variant, places),
      );
      this.#pipelines.set(key, pipeline);
    }
    return pipeline;
  }
}

/** Rows fewer than this, with more columns a lane than that, are cut into chunks. */
const CHUNK_COLUMNS = 4 * WORKGROUP;

/** Chooses how to run a kernel of these sizes and strides. */
export function planSteps(plan: FusedPlan, data: FusedData, device: DeviceFigures): Step[] {
  const rows = product(data.outer);
  const cols = product(data.inner);
  const whole = (lanes: number): Figures => ({ rows, cols, chunk: cols, chunks: 1, block: blockSize(cols / lanes) });
  if (plan.structure.innerRank === 0) {
    return [{ variant: { kind: "map" }, groups: Math.ceil(rows / WORKGROUP), figures: whole(1) }];
  }
  const lanesFirst = walksInner(plan.structure, data);
  const chunks = Math.min(Math.ceil(cols / CHUNK_COLUMNS), Math.ceil((2 * device.busyGroups) / rows));
  if (plan.phases.length > 0 && chunks > 1 && rows * 2 <= device.busyGroups && rows < device.maxGroupsPerDimension) {
    return chunkSteps(plan, rows, cols, chunks);
  }
  const lanes = laneCount(rows, cols, lanesFirst, device);
  const variant: Variant = { kind: "rows", lanes, lanesFirst: lanes === 1 ? true : lanesFirst };
  const rowsPerGroup = workgroupSize(variant) / lanes;
  return [{ variant, groups: Math.ceil(rows / rowsPerGroup), figures: whole(lanes) }];
}

function chunkSteps(plan: FusedPlan, rows: number, cols: number, wanted: number): Step[] {
  const chunk = Math.ceil(cols / wanted);
  const chunks = Math.ceil(cols / chunk);
  const figures: Figures = { rows, cols, chunk, chunks, block: blockSize(chunk / WORKGROUP) };
  const steps: Step[] = [];
  plan.phases.forEach((_, phase) => {
    steps.push({ variant: { kind: "chunks", phase, lanesFirst: true }, groups: rows * chunks, figures });
    steps.push({ variant: { kind: "gather", phase, lanesFirst: true }, groups: rows, figures });
  });
  if (plan.fullStores.length > 0)
    steps.push({ variant: { kind: "finish", lanesFirst: true }, groups: rows * chunks, figures });
  return steps;
}

/** Lanes that share a row: as many as have something to do, and more where there are too few rows. */
function laneCount(rows: number, cols: number, lanesFirst: boolean, device: DeviceFigures): number {
  // Barriers are dear where lanes are emulated.
  if (device.isSoftware) return rows >= 64 || cols <= 1024 ? 1 : WORKGROUP;
  const starved = (lanes: number): boolean => (rows * lanes) / WORKGROUP < device.busyGroups;
  if (!lanesFirst) {
    // Neighbouring rows are neighbours in memory: lanes are added only to keep the device busy.
    for (const lanes of [1, 8, 32]) if (!starved(lanes) || cols <= lanes * 4) return lanes;
    return 32;
  }
  if (cols <= 8) return 1;
  if (cols <= 64) return 8;
  if (cols <= 1024 && !starved(32)) return 32;
  return WORKGROUP;
}

/** Terms that are added up one after the other: the root of their number, so that neither they nor the blocks are many. */
function blockSize(terms: number): number {
  return Math.max(32, Math.ceil(Math.sqrt(terms)));
}

/** Whether neighbours in memory are inner neighbours, for most loads and stores of full values. */
function walksInner(structure: FusedStructure, data: FusedData): boolean {
  const { outerRank, innerRank } = structure;
  let votes = 0;
  structure.accesses.forEach((access, i) => {
    if (access.buffer < 0 || !/[1s]/.test(access.classes.slice(outerRank))) return;
    const inner = Math.abs(data.strides[i]![outerRank + innerRank - 1]!);
    const outer = outerRank === 0 ? 0 : Math.abs(data.strides[i]![outerRank - 1]!);
    votes += outer === 0 || (inner !== 0 && inner <= outer) ? 1 : -1;
  });
  return votes >= 0;
}
