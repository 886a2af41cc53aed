/** Copies of ranges of elements. */

import type { KernelData, RoutineData, RoutineStructure } from "../../graph/kernel.ts";
import type { Slab } from "./pool.ts";
import type { CallRecorder, DeviceFigures, DeviceProgram, PreparedCall } from "./program.ts";

/** See `copy` in kernel.ts. */
export class CopyProgram implements DeviceProgram {
  readonly structure: RoutineStructure;
  readonly inPieces = true;
  readonly #segmentBytes: number;

  constructor(structure: RoutineStructure, device: DeviceFigures) {
    this.structure = structure;
    this.#segmentBytes = device.segmentBytes;
  }

  warm(): void {
    // Copies are commands, not shaders.
  }

  prepare(data: KernelData, slabs: readonly Slab[]): PreparedCall {
    const [elements, from, to] = (data as RoutineData).ints as [number, number, number];
    const [source, out] = slabs as [Slab, Slab];
    const record = (recorder: CallRecorder): void => {
      const size = this.#segmentBytes;
      let [reads, writes, left] = [from * 4, to * 4, elements * 4];
      while (left > 0) {
        const [at, target] = [reads % size, writes % size];
        const bytes = Math.min(left, size - at, size - target);
        const piece = source.segments[Math.floor(reads / size)]!;
        recorder.copy(piece.gpu, at, out.segments[Math.floor(writes / size)]!.gpu, target, bytes);
        reads += bytes;
        writes += bytes;
        left -= bytes;
      }
    };
    return { pipelines: [], scratch: false, record };
  }
}
