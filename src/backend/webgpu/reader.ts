/** Brings device memory to the host: through staging buffers, in rounds where it is much. */

import { DeviceError } from "../../errors.ts";
import { hostArray, type DType, type HostArray } from "../../dtype.ts";
import type { ReadResult } from "../backend.ts";
import type { Recorder } from "./recorder.ts";
import type { Room } from "./room.ts";
import type { SlabRead } from "./stream.ts";
import { deviceItemSize, fromDevice, type Staging } from "./transfer.ts";

/** Most bytes that are read through one staging buffer. */
const ROUND_BYTES = 2 ** 26;
/** Bytes before the data of the first round: the status word. */
const STATUS_BYTES = 16;

/** A range of one segment that belongs to a read. */
interface Part {
  readonly read: number;
  readonly gpu: GPUBuffer;
  /** Byte range in the segment, in whole words, and where it goes in the staging buffer. */
  readonly start: number;
  readonly bytes: number;
  at: number;
  /** Bytes before its first element, its place in the result, and how many it has. */
  readonly skip: number;
  readonly first: number;
  readonly count: number;
}

interface Round {
  readonly parts: Part[];
  bytes: number;
}

export class Reader {
  readonly #recorder: Recorder;
  readonly #staging: Staging;
  readonly #status: GPUBuffer;
  readonly #room: Room;
  readonly #segmentBytes: number;

  constructor(recorder: Recorder, staging: Staging, status: GPUBuffer, room: Room, segmentBytes: number) {
    this.#recorder = recorder;
    this.#staging = staging;
    this.#status = status;
    this.#room = room;
    this.#segmentBytes = segmentBytes;
  }

  /**
   * Reads behind what is recorded. `taken` settles, without failing, when later work may change the memory again (null: at
   * once). Device errors beyond the reading itself are not looked at.
   */
  start(reads: readonly SlabRead[]): { readonly taken: Promise<void> | null; readonly result: Promise<ReadResult> } {
    const arrays = reads.map(({ request }) => hostArray(request.dtype, 0));
    const result = { arrays, fault: 0 };
    const rounds = this.#rounds(reads);
    const [only] = rounds as [Round];
    const staging = rounds.length === 1 ? this.#staging.find(only.bytes) : null;
    if (staging !== null) {
      this.#copy(only, staging, true);
      return { taken: null, result: this.#bring(only, staging, true, reads, result).then(() => result) };
    }
    let taken = (): void => undefined;
    const whenTaken = new Promise<void>((resolve) => (taken = resolve));
    const all = async (): Promise<ReadResult> => {
      try {
        for (const round of rounds) {
          const first = round === only;
          const buffer = await this.#makeStaging(round.bytes);
          this.#copy(round, buffer, first);
          if (round === rounds[rounds.length - 1]) taken();
          await this.#bring(round, buffer, first, reads, result);
        }
        return result;
      } finally {
        taken();
      }
    };
    return { taken: whenTaken, result: all() };
  }

  /** An idle staging buffer, or a new one that is known to have memory. */
  async #makeStaging(bytes: number): Promise<GPUBuffer> {
    const idle = this.#staging.find(bytes);
    if (idle !== null) return idle;
    let buffer: GPUBuffer | null = null;
    const error = await this.#room.twice("reading", bytes, () => (buffer = this.#staging.make(bytes)));
    if (error !== null) throw error;
    return buffer!;
  }

  #copy(round: Round, staging: GPUBuffer, withStatus: boolean): void {
    if (withStatus) {
      this.#recorder.copy(this.#status, 0, staging, 0, 4);
      this.#recorder.clear(this.#status);
    }
    for (const { gpu, start, at, bytes } of round.parts) this.#recorder.copy(gpu, start, staging, at, bytes);
    this.#recorder.flush();
  }

  /** Maps what was copied and takes the elements out. */
  async #bring(
    round: Round,
    staging: GPUBuffer,
    withStatus: boolean,
    reads: readonly SlabRead[],
    result: { readonly arrays: HostArray[]; fault: number },
  ): Promise<void> {
    try {
      await staging.mapAsync(1, 0, round.bytes);
    } catch (error) {
      staging.destroy();
      const why = error instanceof Error ? error.message : String(error);
      throw new DeviceError(`reading from the GPU failed: ${why}`);
    }
    const mapped = staging.getMappedRange(0, round.bytes);
    if (withStatus) result.fault = new Uint32Array(mapped, 0, 1)[0]!;
    for (const part of round.parts) {
      const { dtype, count } = reads[part.read]!.request;
      const elements = fromDevice(dtype, mapped, part.at + part.skip, part.count);
      if (part.count === count) result.arrays[part.read] = elements;
      else place(result.arrays, part, dtype, count, elements);
    }
    staging.unmap();
    this.#staging.give(staging);
  }

  /** Cuts reads at the ends of segments and of rounds. */
  #rounds(reads: readonly SlabRead[]): Round[] {
    let round: Round = { parts: [], bytes: STATUS_BYTES };
    const rounds = [round];
    reads.forEach(({ slab, request }, read) => {
      const size = deviceItemSize(request.dtype);
      const end = (request.offset + request.count) * size;
      let from = request.offset * size;
      while (from < end) {
        let room = ROUND_BYTES - round.bytes;
        if (room < Math.min(end - from + 4, ROUND_BYTES / 4)) {
          rounds.push((round = { parts: [], bytes: 0 }));
          room = ROUND_BYTES;
        }
        const which = Math.floor(from / this.#segmentBytes);
        // Segments and rounds end between elements.
        const to = Math.min(end, (which + 1) * this.#segmentBytes, Math.floor(from / 256) * 256 + room - 256);
        const start = Math.floor(from / 4) * 4;
        const bytes = Math.ceil(to / 4) * 4 - start;
        round.parts.push({
          read,
          gpu: slab.segments[which]!.gpu,
          start: start - which * this.#segmentBytes,
          bytes,
          at: round.bytes,
          skip: from - start,
          first: from / size - request.offset,
          count: (to - from) / size,
        });
        round.bytes += Math.ceil(bytes / 16) * 16;
        from = to;
      }
    });
    return rounds;
  }
}

function place(arrays: HostArray[], part: Part, dtype: DType, count: number, elements: HostArray): void {
  if (arrays[part.read]!.length !== count) arrays[part.read] = hostArray(dtype, count);
  arrays[part.read]!.set(elements, part.first);
}
