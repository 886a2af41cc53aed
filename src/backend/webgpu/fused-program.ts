/** Runs fused kernels: picks the way of walking the rows by the data's sizes and strides. */

import type { FusedData, FusedStructure, KernelData } from "../../graph/kernel.ts";
import { cutFused, type FusedPiece } from "./fused-pieces.ts";
import { analyse, scratchBytes, type FusedPlan } from "./fused.ts";
import { isWhole, maxVolume } from "./pieces.ts";
import { classOf, digest } from "./choices.ts";
import type { Pipeline } from "./pipelines.ts";
import type { Bindable, Slab } from "./pool.ts";
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
import { renderFused } from "./render.ts";
import { foldGrid, WORKGROUP } from "./shader.ts";
import {
  variantKey,
  wholeLayout,
  workgroupSize,
  writeFusedWords,
  type Figures,
  type Layout,
  type Variant,
} from "./variants.ts";

/** One dispatch of a call. */
export interface Step {
  readonly variant: Variant;
  readonly groups: number;
  readonly figures: Figures;
}

/** A call whose shaders are chosen, but not its memory. */
export interface FusedCall {
  readonly pipelines: readonly Pipeline[];
  /** False if it takes no scratch memory. */
  readonly scratch?: false;
  /** `memory` has what the layout's bindings stand for. */
  record(recorder: CallRecorder, scratch: Scratch, memory: readonly Bindable[], tag: number): void;
}

const product = (sizes: readonly number[]): number => sizes.reduce((n, size) => n * size, 1);

export class FusedProgram implements DeviceProgram {
  readonly structure: FusedStructure;
  readonly inPieces = true;
  readonly #plan: FusedPlan;
  readonly #compiler: Compiler;
  readonly #device: DeviceFigures;
  readonly #pipelines = new Map<string, Pipeline>();
  readonly #usual: Layout;

  constructor(structure: FusedStructure, compiler: Compiler, device: DeviceFigures) {
    this.structure = structure;
    this.#plan = analyse(structure);
    this.#compiler = compiler;
    this.#device = device;
    this.#usual = wholeLayout(
      structure,
      structure.buffers.map((_, slot) => slot),
    );
  }

  warm(): void {
    if (this.structure.innerRank > 0) return; // the sizes decide
    this.#pipeline({ kind: "map" }, this.#usual);
  }

  prepare(data: KernelData, slabs: readonly Slab[], tag: number): PreparedCall {
    const fused = data as FusedData;
    const most = maxVolume(this.#device.budget, this.#plan.units);
    if (isWhole(slabs, product(fused.outer) * product(fused.inner), most)) {
      const places = sharedPlaces(this.structure, slabs);
      const shared = places.some((p, slot) => p !== slot);
      const chosen = this.choose(fused, shared ? wholeLayout(this.structure, places) : this.#usual);
      const record: PreparedCall["record"] = (recorder, scratch) => chosen.record(recorder, scratch, slabs, tag);
      const { pipelines } = chosen;
      return chosen.scratch === false ? { pipelines, scratch: false, record } : { pipelines, record };
    }
    const pieces = cutFused(this.#plan, fused, slabs, this.#device, most);
    const calls = pieces.map((piece) => this.#piece(piece, product(fused.outer)));
    return {
      pipelines: [...new Set(calls.flatMap((c) => c.pipelines))],
      record: (recorder, scratch) => {
        for (const call of calls) call.record(recorder, scratch, [], tag);
      },
    };
  }

  /**
   * The same for callers that know the memory only when they record. The way of running, on which the bits of sums depend, is
   * chosen as for `allRows`.
   */
  choose(data: FusedData, layout: Layout = this.#usual, allRows = product(data.outer)): FusedCall {
    const steps = planSteps(this.#plan, data, this.#device, allRows);
    const pipelines = steps.map((step) => this.#pipeline(step.variant, layout));
    const record: FusedCall["record"] = (recorder, scratch, memory, tag) => {
      const { rows, chunks } = steps[0]!.figures;
      const partial = steps.length > 1 ? scratch.take(scratchBytes(this.#plan, rows, chunks)) : null;
      steps.forEach((step, i) => this.#dispatch(recorder, pipelines[i]!, step, data, memory, partial, tag));
      if (partial !== null) scratch.give(partial);
    };
    return steps.length === 1 ? { pipelines, scratch: false, record } : { pipelines, record };
  }

  #dispatch(
    recorder: CallRecorder,
    pipeline: Pipeline,
    step: Step,
    data: FusedData,
    memory: readonly Bindable[],
    partial: Slab | null,
    tag: number,
  ): void {
    const grid = foldGrid(step.groups, this.#device.maxGroupsPerDimension);
    const { rows, cols } = step.figures;
    const work = step.variant.kind === "gather" ? rows : rows * cols * this.#plan.units;
    recorder.dispatch(
      pipeline,
      bound(pipeline.shader, memory, partial),
      grid,
      tag,
      (w) => writeFusedWords(w, this.structure, data, step.figures, step.variant),
      work,
    );
  }

  /** A piece of the outer loops: a call of its own, or dispatches over pieces of the inner loops that share partial results. */
  #piece({ inner, rows }: FusedPiece, allRows: number): FusedCall {
    if (inner.length === 1) {
      const [{ data, layout, memory }] = inner as [FusedPiece["inner"][number]];
      const chosen = this.choose(data, layout, allRows);
      return {
        pipelines: chosen.pipelines,
        record: (recorder, scratch, _, tag) => chosen.record(recorder, scratch, memory, tag),
      };
    }
    const plan = this.#plan;
    const figures = inner.map((p) => chunkFigures(this.#device, rows, product(p.data.inner), inner.length, p));
    const allChunks = figures.reduce((sum, f) => sum + f.chunks, 0);
    let firstChunk = 0;
    const placed = figures.map((f): Figures => {
      const result = { ...f, firstChunk, allChunks };
      firstChunk += f.chunks;
      return result;
    });
    const steps: { readonly piece: number; readonly step: Step; readonly pipeline: Pipeline }[] = [];
    const add = (variant: Variant, piece: number, groups: number): void => {
      const step: Step = { variant, groups, figures: placed[piece]! };
      steps.push({ piece, step, pipeline: this.#pipeline(variant, inner[piece]!.layout) });
    };
    const each = (variant: Variant): void => placed.forEach(({ chunks }, piece) => add(variant, piece, rows * chunks));
    plan.phases.forEach((reductions, phase) => {
      each({ kind: "chunks", phase, moved: reductions.some((r) => r.reducer.index) });
      add({ kind: "gather", phase, stores: false }, 0, rows);
    });
    if (plan.fullStores.length > 0) each({ kind: "finish" });
    if (plan.rowStores.length > 0) add({ kind: "settle" }, 0, Math.ceil(rows / WORKGROUP));
    return {
      pipelines: steps.map((s) => s.pipeline),
      record: (recorder, scratch, _, tag) => {
        const partial = plan.phases.length > 0 ? scratch.take(scratchBytes(plan, rows, allChunks)) : null;
        for (const { piece, step, pipeline } of steps)
          this.#dispatch(recorder, pipeline, step, inner[piece]!.data, inner[piece]!.memory, partial, tag);
        if (partial !== null) scratch.give(partial);
      },
    };
  }

  #pipeline(variant: Variant, layout: Layout): Pipeline {
    const key = `${variantKey(variant)}|${layout.key}`;
    let pipeline = this.#pipelines.get(key);
    if (pipeline === undefined) {
      pipeline = this.#compiler.pipeline(`${this.structure.key}|${key}`, () =>
        renderFused(this.#plan, variant, layout, this.#device.subgroup),
      );
      this.#pipelines.set(key, pipeline);
    }
    return pipeline;
  }
}

/** Rows fewer than this, with more columns a lane than that, are cut into chunks. */
const CHUNK_COLUMNS = 4 * WORKGROUP;

/** How the rows are walked: so many lanes each, or (more than one chunk) in chunks that workgroups share. */
interface Walk {
  readonly lanes: number;
  readonly chunks: number;
}

const keys = new WeakMap<FusedPlan, string>();

/** Text that tells a plan's kernels from others. */
function keyOf(plan: FusedPlan): string {
  let key = keys.get(plan);
  if (key === undefined) keys.set(plan, (key = digest(plan.structure.key)));
  return key;
}

/** Chooses how to run a kernel of these sizes and strides, which may be a piece of one of `allRows`. */
export function planSteps(plan: FusedPlan, data: FusedData, device: DeviceFigures, allRows: number): Step[] {
  const rows = product(data.outer);
  const cols = product(data.inner);
  const whole = (lanes: number): Figures => wholeFigures(rows, cols, cols, 1, blockSize(cols / lanes));
  if (plan.structure.innerRank === 0) {
    return [{ variant: { kind: "map" }, groups: Math.ceil(rows / WORKGROUP), figures: whole(1) }];
  }
  const lanesFirst = walksInner(plan.structure, data);
  const { lanes, chunks } = device.choices.pick<Walk>({
    key: () => `rows ${keyOf(plan)} ${lanesFirst ? "i" : "o"} ${classOf(allRows)},${classOf(cols)}`,
    usual: usualWalk(plan, device, allRows, cols, lanesFirst),
    all: () => walks(plan, device, allRows, cols, lanesFirst),
    name: (walk) => (walk.chunks > 1 ? `chunks${walk.chunks}` : `lanes${walk.lanes}`),
  });
  if (chunks > 1) return chunkSteps(plan, rows, cols, chunks);
  const variant: Variant = { kind: "rows", lanes, lanesFirst: lanes === 1 ? true : lanesFirst };
  const rowsPerGroup = workgroupSize(variant) / lanes;
  return [{ variant, groups: Math.ceil(rows / rowsPerGroup), figures: whole(lanes) }];
}

function usualWalk(plan: FusedPlan, device: DeviceFigures, rows: number, cols: number, lanesFirst: boolean): Walk {
  const chunks = chunkCount(device, rows, cols);
  if (plan.phases.length > 0 && chunks > 1 && rows * 2 <= device.busyGroups) return { lanes: WORKGROUP, chunks };
  return { lanes: laneCount(rows, cols, lanesFirst, device), chunks: 1 };
}

/** All walks that are worth a measurement. */
function walks(plan: FusedPlan, device: DeviceFigures, rows: number, cols: number, lanesFirst: boolean): Walk[] {
  const usual = usualWalk(plan, device, rows, cols, lanesFirst);
  const result = [1, 8, 32, WORKGROUP]
    .filter((lanes) => lanes <= 2 * cols || lanes === usual.lanes)
    // One invocation, or few, for a long row are far off where there are few rows.
    .filter((lanes) => (cols / lanes) * 64 <= Math.max(rows, 1) * 1024 || lanes === WORKGROUP || lanes === usual.lanes)
    .map((lanes): Walk => ({ lanes, chunks: 1 }));
  if (plan.phases.length > 0 && cols > CHUNK_COLUMNS) {
    const chunks = Math.max(usual.chunks, Math.min(chunkCount(device, rows, cols), Math.ceil(cols / CHUNK_COLUMNS)));
    for (const count of new Set([Math.ceil(chunks / 2), chunks, 2 * chunks]))
      if (count > 1 && count <= cols / WORKGROUP) result.push({ lanes: WORKGROUP, chunks: count });
  }
  return result;
}

/** Chunks that a row is cut into, so that there are enough workgroups. */
function chunkCount(device: DeviceFigures, rows: number, cols: number): number {
  return Math.max(1, Math.min(Math.ceil(cols / CHUNK_COLUMNS), Math.ceil((2 * device.busyGroups) / rows)));
}

function wholeFigures(rows: number, cols: number, chunk: number, chunks: number, block: number): Figures {
  return { rows, cols, chunk, chunks, firstChunk: 0, allChunks: chunks, position: 0, positionSteps: [], block };
}

/** Figures of one of several pieces of the inner loops. */
function chunkFigures(
  device: DeviceFigures,
  rows: number,
  cols: number,
  pieces: number,
  { position, positionSteps }: { readonly position: number; readonly positionSteps: readonly number[] },
): Figures {
  const chunk = Math.ceil(cols / chunkCount(device, rows * pieces, cols));
  const figures = wholeFigures(rows, cols, chunk, Math.ceil(cols / chunk), blockSize(chunk / WORKGROUP));
  return { ...figures, position, positionSteps };
}

function chunkSteps(plan: FusedPlan, rows: number, cols: number, wanted: number): Step[] {
  const chunk = Math.ceil(cols / wanted);
  const chunks = Math.ceil(cols / chunk);
  const figures = wholeFigures(rows, cols, chunk, chunks, blockSize(chunk / WORKGROUP));
  const finishes = plan.fullStores.length > 0;
  const settles = finishes && plan.rowStoreAfterLoad;
  const steps: Step[] = [];
  plan.phases.forEach((_, phase) => {
    steps.push({ variant: { kind: "chunks", phase, moved: false }, groups: rows * chunks, figures });
    steps.push({ variant: { kind: "gather", phase, stores: !settles }, groups: rows, figures });
  });
  if (finishes) steps.push({ variant: { kind: "finish" }, groups: rows * chunks, figures });
  if (settles) steps.push({ variant: { kind: "settle" }, groups: Math.ceil(rows / WORKGROUP), figures });
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
