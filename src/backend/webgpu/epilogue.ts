/**
 * Routines with elementwise work on their results: in the shader that makes the elements, which is the routine's own or, where sums are cut,
 * that which adds up the parts; else behind it, by way of memory.
 */

import type {
  Epilogue,
  FusedData,
  FusedStructure,
  KernelData,
  RoutineData,
  RoutineStructure,
} from "../../graph/kernel.ts";
import { Body, Scope, type BufferNames } from "./body.ts";
import { digest } from "./choices.ts";
import { FusedProgram } from "./fused-program.ts";
import { Slab, type Segment } from "./pool.ts";
import { sharedPlaces, type Compiler, type DeviceFigures, type DeviceProgram, type PreparedCall } from "./program.ts";
import { STORED, type ShaderText, type WordWriter } from "./shader.ts";
import { declareBody, writeBodyWords } from "./variants.ts";

/** The work as a part of another shader. */
export class EpilogueCode implements BufferNames {
  /** Tells it apart, in keys of shaders. */
  readonly key: string;
  readonly #epilogue: Epilogue;
  readonly #firstSlot: number;

  /** `firstSlot` is the number, among the kernel's, of the first buffer of the work. */
  constructor(epilogue: Epilogue, firstSlot: number) {
    this.#epilogue = epilogue;
    this.#firstSlot = firstSlot;
    this.key = digest(`${epilogue.result}|${epilogue.structure.key}`);
  }

  access(access: number): string {
    return `e${this.#epilogue.structure.accesses[access]!.buffer}`;
  }

  table(slot: number): { names: readonly string[]; size: number } {
    return { names: [`e${slot}`], size: 0 };
  }

  /** Declares parameters, behind all others, and bindings. */
  declare(text: ShaderText): void {
    const { structure, result } = this.#epilogue;
    declareBody(text, structure);
    structure.buffers.forEach(({ dtype, mode }, slot) => {
      if (slot === result) return;
      const place = this.#firstSlot + slot - (slot > result ? 1 : 0);
      text.bind(`e${slot}`, STORED[dtype as keyof typeof STORED], place, mode !== "read");
    });
  }

  /** The function `finish(row, value)`, which goes on with `value`, element number `row` of the result. */
  function(): string {
    const { structure, result } = this.#epilogue;
    const scope = new Scope(null, "  ");
    const body = new Body(structure, this, scope);
    structure.instrs.forEach((instr, at) => {
      if (instr.op === "load" && structure.accesses[instr.imm as number]!.buffer === result)
        scope.let(`v${at}`, "value");
    });
    structure.stores.forEach((_, i) => body.prepareStore(i, null));
    structure.stores.forEach((_, i) => body.store(i, null));
    return `fn finish(row: u32, value: f32) {\n${scope.lines.map((l) => `${l}\n`).join("")}}\n`;
  }

  /** Writes the parameters. */
  write(w: WordWriter, data: FusedData): void {
    writeBodyWords(w, this.#epilogue.structure, data);
  }
}

/** The work and its numbers, for a call of the routine. */
export interface EpilogueCall {
  readonly epilogue: Epilogue;
  readonly code: EpilogueCode;
  readonly data: FusedData;
}

/** A routine that can do work on its result before it writes it. */
export interface FusingProgram extends DeviceProgram {
  /**
   * As `prepare`, with the work; `slabs` are those of the routine's inputs, then the work's. Null where elements are made
   * in pieces, or in an order that the work does not follow.
   */
  prepareWith(data: KernelData, slabs: readonly Slab[], tag: number, work: EpilogueCall): PreparedCall | null;
}

/** Most instructions of work that is done by the invocations of a tile, which hold many values already. */
const MOST_INSTRS = 64;

/** Whether a device gains from doing elementwise work in the shader of a routine. `elements` are those of the largest tensor of the work. */
export function fitsEpilogue(
  device: DeviceFigures,
  routine: RoutineStructure,
  work: FusedStructure,
  elements: number,
): boolean {
  const { buffers } = routine;
  return (
    buffers[buffers.length - 1]!.dtype === "float32" &&
    4 * elements <= device.segmentBytes &&
    // One is the status word; the result is not bound.
    buffers.length - 1 + work.buffers.length - 1 <= device.maxBindings - 1 &&
    work.instrs.length <= MOST_INSTRS &&
    work.instrs.every((i) => i.op !== "philox")
  );
}

/** The structure of a routine without its epilogue. */
export function withoutEpilogue(structure: RoutineStructure): RoutineStructure {
  const { epilogue, buffers, ...rest } = structure;
  const inputs = buffers.slice(0, buffers.length - epilogue!.structure.buffers.length + 1);
  const { dtype } = epilogue!.structure.buffers[epilogue!.result]!;
  const [key] = rest.key.split(", then ") as [string];
  return { ...rest, key, buffers: [...inputs, { dtype, mode: "write" }] };
}

/** A routine with an epilogue. */
export class EpilogueProgram implements DeviceProgram {
  readonly structure: RoutineStructure;
  readonly inPieces: boolean;
  readonly #routine: FusingProgram;
  readonly #work: FusedProgram;
  readonly #code: EpilogueCode;
  readonly #epilogue: Epilogue;
  readonly #inputs: number;

  /** `routine` is the program of the structure without its epilogue. */
  constructor(structure: RoutineStructure, routine: FusingProgram, compiler: Compiler, device: DeviceFigures) {
    this.structure = structure;
    this.inPieces = routine.inPieces ?? false;
    this.#routine = routine;
    this.#epilogue = structure.epilogue!;
    this.#inputs = routine.structure.buffers.length - 1;
    this.#work = new FusedProgram(this.#epilogue.structure, compiler, device);
    this.#code = new EpilogueCode(this.#epilogue, this.#inputs);
  }

  warm(): void {
    // The sizes decide.
  }

  prepare(data: KernelData, slabs: readonly Slab[], tag: number): PreparedCall {
    const { ints, scalars, epilogue } = data as RoutineData;
    const own: FusedData = { ...epilogue!, scalars };
    const plain: RoutineData = { ints, scalars: [] };
    // What is written is bound once only.
    const isApart = sharedPlaces(this.structure, slabs).every((place, slot) => place === slot);
    const work = { epilogue: this.#epilogue, code: this.#code, data: own };
    const direct = isApart ? this.#routine.prepareWith(plain, slabs, tag, work) : null;
    return direct ?? this.#apart(plain, own, slabs, tag);
  }

  /** The routine, then the work, with the result in memory between them. */
  #apart(plain: RoutineData, own: FusedData, slabs: readonly Slab[], tag: number): PreparedCall {
    const bytes = 4 * own.outer.reduce((n, size) => n * size, 1);
    const between = new LateSlab(bytes);
    const others = slabs.slice(this.#inputs);
    const { result } = this.#epilogue;
    const bound = [...others.slice(0, result), between, ...others.slice(result)];
    const first = this.#routine.prepare(plain, [...slabs.slice(0, this.#inputs), between], tag);
    const second = this.#work.prepare(own, bound, tag);
    return {
      pipelines: [...first.pipelines, ...second.pipelines],
      record: (recorder, scratch) => {
        const memory = scratch.take(bytes);
        between.is(memory);
        first.record(recorder, scratch);
        second.record(recorder, scratch);
        scratch.give(memory);
      },
    };
  }
}

/** Memory that calls are prepared with before it is known which it will be. */
class LateSlab extends Slab {
  readonly #late: { memory: Slab | null };

  constructor(bytes: number) {
    const late: { memory: Slab | null } = { memory: null };
    const segment: Segment = {
      get id() {
        return late.memory?.id ?? 0;
      },
      get gpu() {
        return late.memory!.gpu;
      },
      bytes,
      failure: null,
      lastUse: 0,
      releasedAt: 0,
    };
    super([segment]);
    this.#late = late;
  }

  is(memory: Slab): void {
    this.#late.memory = memory;
  }
}
