/** What a kernel structure becomes on this device: shaders chosen by the data of each call, and their dispatches. */

import type { KernelData, KernelStructure } from "../../graph/kernel.ts";
import type { Program } from "../backend.ts";
import type { WorkBudget } from "./budget.ts";
import type { Choices } from "./choices.ts";
import type { Pipeline } from "./pipelines.ts";
import type { Bindable, Slab } from "./pool.ts";
import type { Shader, WordWriter } from "./shader.ts";

/** Figures of the device that choices depend on. */
export interface DeviceFigures {
  readonly isSoftware: boolean;
  readonly maxGroupsPerDimension: number;
  /** Bytes of shared memory of a workgroup. */
  readonly sharedBytes: number;
  /** So many neighbouring invocations at least are in one subgroup and can exchange values; 1 where they cannot. A power of two. */
  readonly subgroup: number;
  /** Workgroups that keep the device busy. */
  readonly busyGroups: number;
  /** Bytes of the largest buffer that can be bound: larger tensors lie in several of this size. A multiple of 256. */
  readonly segmentBytes: number;
  /** Storage buffers that a shader may bind, with the status word and scratch memory. */
  readonly maxBindings: number;
  /** Most work of one dispatch, as far as it can be cut. */
  readonly budget: WorkBudget;
  /** What was measured about ways of running calls. */
  readonly choices: Choices;
}

/** Records the dispatches of a call. */
export interface CallRecorder {
  /** `memory` follows the shader's bindings; `work` is in units of the budget, guessed from the grid if it is not given. */
  dispatch(
    pipeline: Pipeline,
    memory: readonly Bindable[],
    groups: readonly [number, number],
    tag: number,
    writeWords: (w: WordWriter) => void,
    work?: number,
  ): void;
  copy(source: GPUBuffer, sourceOffset: number, target: GPUBuffer, targetOffset: number, bytes: number): void;
}

/** Gives memory that is needed while a call runs. */
export interface Scratch {
  take(bytes: number): Slab;
  give(slab: Slab): void;
}

/** A call whose shaders are chosen: it can be recorded as soon as they are compiled. */
export interface PreparedCall {
  readonly pipelines: readonly Pipeline[];
  /** False if it takes no scratch memory; else what it takes is found out beforehand by recording into nothing. */
  readonly scratch?: false;
  /** Records the same each time. */
  record(recorder: CallRecorder, scratch: Scratch): void;
}

/** Compiles shaders; a known key costs nothing. */
export interface Compiler {
  pipeline(key: string, render: () => Shader): Pipeline;
}

/** A kernel structure on this device. */
export interface DeviceProgram extends Program {
  readonly structure: KernelStructure;
  /** True if it takes slabs of several segments; the others are refused before. */
  readonly inPieces?: boolean;
  /** Chooses shaders for a call. `slabs` follow the structure's buffers. */
  prepare(data: KernelData, slabs: readonly Slab[], tag: number): PreparedCall;
  /** Starts to compile what a typical call will take. */
  warm(): void;
}

/** The memory of a shader's bindings, by their number; `scratch` stands for number -1. */
export function bound(shader: Shader, memory: readonly Bindable[], scratch: Bindable | null): Bindable[] {
  return shader.bindings.map(({ slot }) => (slot < 0 ? scratch! : memory[slot]!));
}

/**
 * For each slot the first slot that is bound to the same memory and has to share one binding with it: WebGPU allows memory that a
 * dispatch writes to be bound once only.
 */
export function sharedPlaces(structure: KernelStructure, slabs: readonly Slab[]): number[] {
  const places = slabs.map((_, slot) => slot);
  for (let slot = 1; slot < slabs.length; slot++) {
    const first = slabs.indexOf(slabs[slot]!);
    if (first === slot) continue;
    const written = slabs.some((s, other) => s === slabs[slot] && structure.buffers[other]!.mode !== "read");
    if (written) places[slot] = first;
  }
  return places;
}
