/**
 * The ordered queue of a device's work. What can run at once is recorded and submitted at once; what waits for a shader to be
 * compiled, or for the word that a large allocation succeeded, holds up everything behind it, so that order is kept.
 */

import { DeviceError, DeviceLostError } from "../../errors.ts";
import type { ReadRequest, ReadResult } from "../backend.ts";
import type { Slab } from "./pool.ts";
import type { PreparedCall, Scratch } from "./program.ts";
import type { Recorder, Submission } from "./recorder.ts";
import { deviceItemSize, fromDevice, type Staging } from "./transfer.ts";

/** A read request with the memory it reads. */
export interface SlabRead {
  readonly slab: Slab;
  readonly request: ReadRequest;
}

interface Waiter {
  reject(error: Error): void;
}

type Item =
  | { readonly kind: "calls"; readonly calls: readonly PreparedCall[] }
  | { readonly kind: "upload"; readonly slab: Slab; readonly data: ArrayBufferView<ArrayBuffer> }
  | { readonly kind: "destroy"; readonly slab: Slab }
  | { readonly kind: "gate"; readonly gate: Gate }
  | {
      readonly kind: "read";
      readonly reads: readonly SlabRead[];
      readonly waiter: Waiter;
      resolve(result: ReadResult): void;
    }
  | { readonly kind: "sync"; readonly waiter: Waiter; resolve(): void };

/** Something that has to be known before work may go on. */
export interface Gate {
  open: boolean;
  readonly done: Promise<void>;
}

/** Most bytes that are read through one staging buffer. */
const READ_BYTES = 2 ** 28;

export class Stream {
  readonly #device: GPUDevice;
  readonly #recorder: Recorder;
  readonly #staging: Staging;
  readonly #status: GPUBuffer;
  readonly #scratch: Scratch;
  readonly #items: Item[] = [];
  /** Position of the first item that was not done yet. */
  #head = 0;
  #pumping = false;
  readonly #waiters = new Set<Waiter>();
  /** The first error since the last report. */
  #failure: Error | null = null;
  /** Set for good when the device is gone. */
  #lost: DeviceError | null = null;
  /** Settles when all error scopes so far were heard. */
  #scopes: Promise<void> = Promise.resolve();

  constructor(device: GPUDevice, recorder: Recorder, staging: Staging, status: GPUBuffer, scratch: Scratch) {
    this.#device = device;
    this.#recorder = recorder;
    this.#staging = staging;
    this.#status = status;
    this.#scratch = scratch;
    void device.lost.then((info) =>
      this.lose(new DeviceLostError(`the GPU device was lost: ${info.message || info.reason}`)),
    );
  }

  /** Throws if the device is gone. */
  check(): void {
    if (this.#lost !== null) throw this.#lost;
  }

  /** Gives up everything that waits, now and later. */
  lose(error: DeviceError): void {
    if (this.#lost !== null) return;
    this.#lost = error;
    this.#items.length = this.#head = 0;
    for (const waiter of this.#waiters) waiter.reject(error);
    this.#waiters.clear();
  }

  /** Remembers an error for the next read or synchronisation to reject with. */
  fail(error: Error): void {
    this.#failure ??= error;
  }

  /** Hears an error scope before the next read is answered. */
  watch(scope: Promise<GPUError | null>, explain: (error: GPUError) => Error): void {
    const heard = scope.then(
      (error) => {
        if (error !== null) this.fail(explain(error));
      },
      () => undefined, // the device is gone, which is reported by itself
    );
    this.#scopes = Promise.all([this.#scopes, heard]).then(() => undefined);
  }

  /** Explains an error of a submission. */
  submitted(submission: Submission, scope: Promise<GPUError | null>): void {
    this.watch(scope, (error) => {
      const kernels = [...new Set(submission.kernels)];
      const named = kernels.slice(0, 4).join(", ") + (kernels.length > 4 ? ` and ${kernels.length - 4} more` : "");
      return new DeviceError(`the GPU refused work (${named}): ${error.message}`);
    });
  }

  calls(calls: readonly PreparedCall[]): void {
    this.#push({ kind: "calls", calls });
  }

  /** `data` is the queue's from now on if `owned`; else it is copied if it has to wait. */
  upload(slab: Slab, data: ArrayBufferView<ArrayBuffer>, owned: boolean): void {
    const waits = this.#head < this.#items.length;
    const kept =
      waits && !owned ? new Uint8Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength)) : data;
    this.#push({ kind: "upload", slab, data: kept });
  }

  destroySlab(slab: Slab): void {
    this.#push({ kind: "destroy", slab });
  }

  gate(gate: Gate): void {
    this.#push({ kind: "gate", gate });
  }

  read(reads: readonly SlabRead[]): Promise<ReadResult> {
    return new Promise((resolve, reject) => {
      if (this.#lost !== null) reject(this.#lost);
      else this.#push({ kind: "read", reads, waiter: this.#wait(reject), resolve });
    });
  }

  synchronize(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#lost !== null) reject(this.#lost);
      else this.#push({ kind: "sync", waiter: this.#wait(reject), resolve });
    });
  }

  #wait(reject: (error: Error) => void): Waiter {
    const waiter: Waiter = { reject };
    this.#waiters.add(waiter);
    return waiter;
  }

  #push(item: Item): void {
    if (this.#lost !== null && item.kind !== "destroy") return;
    this.#items.push(item);
    this.#pump();
  }

  /** Does what can be done, in order. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      while (this.#head < this.#items.length) {
        const item = this.#items[this.#head]!;
        const blocker = blockerOf(item);
        if (blocker !== null) {
          void blocker.then(() => this.#pump());
          break;
        }
        this.#head++;
        this.#do(item);
      }
      this.#recorder.flush();
    } finally {
      this.#pumping = false;
      if (this.#head === this.#items.length) this.#items.length = this.#head = 0;
    }
  }

  #do(item: Item): void {
    switch (item.kind) {
      case "calls":
        for (const call of item.calls) this.#record(call);
        break;
      case "upload":
        this.#recorder.flush();
        this.#device.queue.writeBuffer(item.slab.gpu, 0, item.data.buffer, item.data.byteOffset, item.data.byteLength);
        break;
      case "destroy":
        this.#recorder.flush();
        this.#recorder.forget(item.slab.id);
        item.slab.gpu.destroy();
        break;
      case "gate":
        break;
      case "read":
        void this.#answer(item.reads).then(
          (result) => this.#settle(item.waiter, () => item.resolve(result)),
          (error: Error) => this.#settle(item.waiter, () => item.waiter.reject(error)),
        );
        break;
      case "sync":
        this.#recorder.flush();
        void this.#device.queue
          .onSubmittedWorkDone()
          .then(() => this.#report())
          .then(
            () => this.#settle(item.waiter, () => item.resolve()),
            (error: Error) => this.#settle(item.waiter, () => item.waiter.reject(error)),
          );
        break;
    }
  }

  #settle(waiter: Waiter, action: () => void): void {
    if (this.#waiters.delete(waiter)) action();
  }

  #record(call: PreparedCall): void {
    for (const pipeline of call.pipelines)
      if (pipeline.error !== null) {
        this.fail(pipeline.error);
        return;
      }
    call.record(this.#recorder, this.#scratch);
  }

  /** Rejects with what went wrong since the last report. */
  async #report(): Promise<void> {
    await this.#scopes;
    if (this.#lost !== null) throw this.#lost;
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) throw failure;
  }

  /** Copies to staging memory behind what is recorded; the first piece starts with the status word. */
  async #answer(reads: readonly SlabRead[]): Promise<ReadResult> {
    const pieces: { buffer: GPUBuffer; bytes: number; reads: { index: number; at: number }[] }[] = [];
    let piece: { bytes: number; reads: { index: number; at: number }[] } = { bytes: 16, reads: [] };
    const groups = [piece];
    const spans = reads.map(({ request }) => spanOf(request));
    spans.forEach((span, index) => {
      if (span.bytes === 0) return;
      if (piece.bytes > 16 && piece.bytes + span.bytes > READ_BYTES) groups.push((piece = { bytes: 0, reads: [] }));
      piece.reads.push({ index, at: piece.bytes });
      piece.bytes += Math.ceil(span.bytes / 16) * 16;
    });
    groups.forEach((group, i) => {
      const buffer = this.#staging.take(group.bytes);
      if (i === 0) {
        this.#recorder.copy(this.#status, 0, buffer, 0, 4);
        this.#recorder.clear(this.#status);
      }
      for (const { index, at } of group.reads)
        this.#recorder.copy(reads[index]!.slab.gpu, spans[index]!.start, buffer, at, spans[index]!.bytes);
      pieces.push({ buffer, ...group });
    });
    this.#recorder.flush();
    const arrays: ReadResult["arrays"] = reads.map(({ request }) =>
      fromDevice(request.dtype, new ArrayBuffer(0), 0, 0),
    );
    let fault = 0;
    await Promise.all(pieces.map(({ buffer, bytes }) => buffer.mapAsync(1, 0, bytes))).catch(async (error: unknown) => {
      await this.#report();
      throw new DeviceError(`reading from the GPU failed: ${error instanceof Error ? error.message : String(error)}`);
    });
    pieces.forEach((p, i) => {
      const mapped = p.buffer.getMappedRange(0, p.bytes);
      if (i === 0) fault = new Uint32Array(mapped, 0, 1)[0]!;
      for (const { index, at } of p.reads) {
        const { request } = reads[index]!;
        arrays[index] = fromDevice(request.dtype, mapped, at + spans[index]!.skip, request.count);
      }
      p.buffer.unmap();
      this.#staging.give(p.buffer);
    });
    await this.#report();
    return { arrays, fault };
  }
}

/** Byte range of device memory that covers a request, in whole words; `skip` bytes into it the elements start. */
function spanOf(request: ReadRequest): { start: number; bytes: number; skip: number } {
  const size = deviceItemSize(request.dtype);
  const first = request.offset * size;
  const start = Math.floor(first / 4) * 4;
  const end = Math.ceil((first + request.count * size) / 4) * 4;
  return { start, bytes: request.count === 0 ? 0 : end - start, skip: first - start };
}

/** What an item has to wait for, or null. */
function blockerOf(item: Item): Promise<void> | null {
  if (item.kind === "gate") return item.gate.open ? null : item.gate.done;
  if (item.kind !== "calls") return null;
  for (const call of item.calls)
    for (const pipeline of call.pipelines) if (pipeline.ready === null && pipeline.error === null) return pipeline.done;
  return null;
}
