/**
 * The ordered queue of a device's work. What can run at once is recorded and submitted at once; what waits for a shader to be
 * compiled, or for the word that an allocation succeeded, holds up everything behind it, so that order is kept.
 *
 * What could not be computed is never read as if it had been: work is dropped a batch at a time, what it would have written is
 * marked with the error, so is what is computed from that, and reading any of it rejects.
 */

import { DeviceError, DeviceLostError } from "../../errors.ts";
import type { ReadRequest, ReadResult } from "../backend.ts";
import type { WorkBudget } from "./budget.ts";
import type { Segment, Slab } from "./pool.ts";
import type { PreparedCall, Scratch } from "./program.ts";
import type { Reader } from "./reader.ts";
import type { Recorder, Submission } from "./recorder.ts";
import type { Room } from "./room.ts";

/** Bytes of a buffer, from the first up to, but without, the second. */
export type ByteRange = readonly [from: number, to: number];

/** What a handed-out buffer holds. */
export interface Content {
  /** Why its value is not there, if so. */
  fault: Error | null;
  /** Pieces of it that are not there while the rest is: one failure does not spoil the values that lie beside it. */
  faults: readonly { readonly range: ByteRange; readonly error: Error }[];
}

/** A buffer in the queue, with its memory: by the time its turn comes it may have been released. */
export interface Use {
  readonly content: Content;
  readonly slab: Slab;
  /** What is read, or written anew, of it; null for all of it. */
  readonly range: ByteRange | null;
}

/** A read request with the memory it reads. */
export interface SlabRead extends Use {
  readonly request: ReadRequest;
}

/** A call with the scratch memory that was set apart for it, in the order in which it takes it. */
export interface ReadyCall {
  readonly call: PreparedCall;
  readonly scratch: readonly Slab[];
}

/** Calls that run together or not at all. */
export interface Batch {
  readonly calls: readonly ReadyCall[];
  readonly reads: readonly Use[];
  readonly writes: readonly Use[];
  /** What the calls that use a piece of memory do, for errors. */
  describe(segment: Segment): string | null;
}

interface Waiter {
  reject(error: Error): void;
}

type Item = { seq: number } & (
  | { readonly kind: "calls"; readonly batch: Batch }
  | {
      readonly kind: "upload";
      readonly use: Pick<Use, "content" | "slab">;
      readonly data: ArrayBufferView<ArrayBuffer>;
    }
  | { readonly kind: "destroy"; readonly segment: Segment }
  | { readonly kind: "gate"; readonly gate: Gate }
  | {
      readonly kind: "read";
      readonly reads: readonly SlabRead[];
      readonly waiter: Waiter;
      resolve(result: ReadResult): void;
    }
  | { readonly kind: "sync"; readonly waiter: Waiter; resolve(): void }
);

type NewItem = Item extends infer I ? (I extends Item ? Omit<I, "seq"> : never) : never;

/** Something that has to be known before work may go on. */
export interface Gate {
  open: boolean;
  readonly done: Promise<void>;
}

/** What a submission wrote, until it is known whether the device took it. */
interface Written {
  readonly uses: readonly Use[];
  settled: boolean;
}

/** What a stream works with. */
export interface StreamParts {
  readonly device: GPUDevice;
  readonly recorder: Recorder;
  readonly reader: Reader;
  readonly room: Room;
  readonly budget: WorkBudget;
  readonly segmentBytes: number;
  /** Submits each call by itself. */
  readonly debug: boolean;
}

/** Uploads from this size on are known to have found memory for the transfer before work goes on. */
const GATED_BYTES = 16 * 2 ** 20;
/** Most bytes of one transfer to the device. */
const UPLOAD_BYTES = 64 * 2 ** 20;

export class Stream {
  readonly #device: GPUDevice;
  readonly #recorder: Recorder;
  readonly #reader: Reader;
  readonly #room: Room;
  readonly #budget: WorkBudget;
  readonly #segmentBytes: number;
  readonly #debug: boolean;
  readonly #items: Item[] = [];
  /** Position of the first item that was not done yet. */
  #head = 0;
  #seq = 0;
  #doneSeq = 0;
  #pumping = false;
  /** True while an item at work keeps everything behind it waiting. */
  #held = false;
  readonly #waiters = new Set<Waiter>();
  /** The first error since the last report. */
  #failure: Error | null = null;
  /** Set for good when the device is gone. */
  #lost: DeviceError | null = null;
  /** Settles when all error scopes so far were heard. */
  #scopes: Promise<void> = Promise.resolve();
  /** What was recorded, but not yet submitted, writes to these. */
  #unsubmitted: Use[] = [];
  /** Submissions that the device may still refuse, the oldest first. */
  #submissions: Written[] = [];
  readonly #refusals = new WeakSet<Error>();
  /** Resolves when the device goes away without having been destroyed by its backend. */
  readonly lost: Promise<DeviceLostError>;

  constructor(parts: StreamParts) {
    const { device } = parts;
    this.#device = device;
    this.#recorder = parts.recorder;
    this.#reader = parts.reader;
    this.#room = parts.room;
    this.#budget = parts.budget;
    this.#segmentBytes = parts.segmentBytes;
    this.#debug = parts.debug;
    this.lost = new Promise((resolve) => {
      void device.lost.then((info) => {
        const error = new DeviceLostError(
          `the GPU device was lost: ${info.message || info.reason || "no reason was given"}. Call await tg.init() for another, and restore a snapshot.`,
          info.reason === "destroyed" ? "destroyed" : "unknown",
        );
        if (this.lose(error)) resolve(error);
      });
    });
  }

  /** Throws if the device is gone. */
  check(): void {
    if (this.#lost !== null) throw this.#lost;
  }

  /** Gives up everything that waits, now and later. False if that was done before. */
  lose(error: DeviceError): boolean {
    if (this.#lost !== null) return false;
    this.#lost = error;
    this.#items.length = this.#head = 0;
    this.#submissions = [];
    for (const waiter of this.#waiters) waiter.reject(error);
    this.#waiters.clear();
    return true;
  }

  /** Remembers an error for the next read or synchronisation to reject with. */
  fail(error: Error): void {
    this.#failure ??= error;
  }

  /** Hears an error scope before the next read is answered. */
  watch(scope: Promise<GPUError | null>, hear: (error: GPUError | null) => void): void {
    const heard = scope.then(hear, () => undefined); // if the device is gone, that is reported by itself
    this.#scopes = Promise.all([this.#scopes, heard]).then(() => undefined);
  }

  /** A submission: if the device refuses it, what it and the later ones wrote is not there. */
  submitted(submission: Submission, scope: Promise<GPUError | null>): void {
    const written: Written = { uses: this.#unsubmitted, settled: false };
    this.#unsubmitted = [];
    this.#submissions.push(written);
    if (this.#budget.isTelling(submission.work)) this.#time(submission.work);
    this.watch(scope, (refusal) => {
      if (refusal !== null) {
        const kernels = [...new Set(submission.kernels)];
        const named = kernels.slice(0, 4).join(", ") + (kernels.length > 4 ? ` and ${kernels.length - 4} more` : "");
        const error = new DeviceError(`the GPU refused work (${named}): ${refusal.message}`);
        this.fail(error);
        this.#refusals.add(error);
        const from = Math.max(this.#submissions.indexOf(written), 0);
        for (const { uses } of this.#submissions.slice(from)) for (const use of uses) blame(use, error);
        for (const use of this.#unsubmitted) blame(use, error);
      }
      written.settled = true;
      while (this.#submissions[0]?.settled === true) this.#submissions.shift();
    });
  }

  #time(work: number): void {
    const start = performance.now();
    void this.#device.queue.onSubmittedWorkDone().then(
      () => this.#budget.learn(work, start, performance.now()),
      () => undefined,
    );
  }

  calls(batch: Batch): void {
    const seq = this.#push({ kind: "calls", batch });
    for (const { slab } of [...batch.reads, ...batch.writes]) touch(slab, seq);
    for (const { scratch } of batch.calls) for (const slab of scratch) touch(slab, seq);
    this.#pump();
  }

  /** `data` is the queue's from now on if `owned`; else it is copied if it has to wait. */
  upload(use: Pick<Use, "content" | "slab">, data: ArrayBufferView<ArrayBuffer>, owned: boolean): void {
    const waits = this.#held || this.#head < this.#items.length || this.#takesTime(data);
    const kept =
      waits && !owned ? new Uint8Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength)) : data;
    touch(use.slab, this.#push({ kind: "upload", use, data: kept }));
    this.#pump();
  }

  #takesTime(data: ArrayBufferView): boolean {
    return data.byteLength >= GATED_BYTES;
  }

  destroySegment(segment: Segment): void {
    this.#push({ kind: "destroy", segment });
    this.#pump();
  }

  gate(gate: Gate): void {
    this.#push({ kind: "gate", gate });
    this.#pump();
  }

  /** True if nothing that is still queued uses a segment. */
  isDone(segment: Segment): boolean {
    return segment.lastUse <= this.#doneSeq;
  }

  /** What the first queued calls that use a segment do. */
  describe(segment: Segment): string | null {
    for (const item of this.#items.slice(this.#head)) {
      const text = item.kind === "calls" ? item.batch.describe(segment) : null;
      if (text !== null) return text;
    }
    return null;
  }

  read(reads: readonly SlabRead[]): Promise<ReadResult> {
    return new Promise((resolve, reject) => {
      if (this.#lost !== null) {
        reject(this.#lost);
        return;
      }
      const seq = this.#push({ kind: "read", reads, waiter: this.#wait(reject), resolve });
      for (const { slab } of reads) touch(slab, seq);
      this.#pump();
    });
  }

  synchronize(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#lost !== null) {
        reject(this.#lost);
        return;
      }
      this.#push({ kind: "sync", waiter: this.#wait(reject), resolve });
      this.#pump();
    });
  }

  #wait(reject: (error: Error) => void): Waiter {
    const waiter: Waiter = { reject };
    this.#waiters.add(waiter);
    return waiter;
  }

  #push(item: NewItem): number {
    const seq = ++this.#seq;
    if (this.#lost === null || item.kind === "destroy") this.#items.push({ ...item, seq });
    return seq;
  }

  /** Does what can be done, in order. */
  #pump(): void {
    if (this.#pumping || this.#held) return;
    this.#pumping = true;
    try {
      while (this.#head < this.#items.length && !this.#held) {
        const item = this.#items[this.#head]!;
        const blocker = blockerOf(item);
        if (blocker !== null) {
          void blocker.then(() => this.#pump());
          break;
        }
        this.#head++;
        this.#do(item);
        this.#doneSeq = item.seq;
      }
      this.#recorder.flush();
    } finally {
      this.#pumping = false;
      if (this.#head >= this.#items.length) this.#items.length = this.#head = 0;
    }
  }

  /** Keeps what is behind the present item waiting for work that goes on. The work must not reject. */
  #hold(work: Promise<void>): void {
    this.#held = true;
    void work.then(() => {
      this.#held = false;
      this.#pump();
    });
  }

  #do(item: Item): void {
    switch (item.kind) {
      case "calls":
        this.#runBatch(item.batch);
        break;
      case "upload":
        this.#write(item.use, item.data);
        break;
      case "destroy":
        this.#recorder.flush();
        this.#recorder.forget(item.segment.id);
        item.segment.gpu.destroy();
        break;
      case "gate":
        break;
      case "read":
        this.#read(item.reads, item.waiter, item.resolve.bind(item));
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

  #runBatch(batch: Batch): void {
    const fault = faultOf(batch);
    if (fault !== null) {
      this.fail(fault);
      for (const use of batch.writes) blame(use, fault);
      return;
    }
    for (const use of batch.writes) {
      clear(use);
      this.#unsubmitted.push(use);
    }
    for (const { call, scratch } of batch.calls) {
      call.record(this.#recorder, setApart(scratch));
      if (this.#debug) {
        this.#recorder.flush();
        this.#unsubmitted.push(...batch.writes);
      }
    }
  }

  #write({ content, slab }: Pick<Use, "content" | "slab">, data: ArrayBufferView<ArrayBuffer>): void {
    const fault = failureOf(slab);
    content.fault = fault;
    content.faults = [];
    if (fault !== null) return;
    this.#recorder.flush();
    if (!this.#takesTime(data)) this.#writeBytes(slab, data);
    else this.#hold(this.#writeLarge(content, slab, data));
  }

  /** Writes whole words from the start of a slab. */
  #writeBytes(slab: Slab, data: ArrayBufferView<ArrayBuffer>): void {
    let at = 0;
    while (at < data.byteLength) {
      const start = at % this.#segmentBytes;
      const bytes = Math.min(data.byteLength - at, this.#segmentBytes - start, UPLOAD_BYTES);
      const { gpu } = slab.segments[Math.floor(at / this.#segmentBytes)]!;
      this.#device.queue.writeBuffer(gpu, start, data.buffer, data.byteOffset + at, bytes);
      at += bytes;
    }
  }

  async #writeLarge(content: Content, slab: Slab, data: ArrayBufferView<ArrayBuffer>): Promise<void> {
    try {
      const what = `uploading ${data.byteLength} bytes`;
      const error = await this.#room.twice(what, data.byteLength, () => this.#writeBytes(slab, data));
      if (error !== null) {
        content.fault = error;
        this.fail(error);
      }
    } catch {
      // The device is gone, which is reported by itself.
    }
  }

  #read(reads: readonly SlabRead[], waiter: Waiter, resolve: (result: ReadResult) => void): void {
    for (const read of reads) {
      const fault = faultIn(read);
      if (fault === null) continue;
      if (this.#failure === fault) this.#failure = null;
      this.#settle(waiter, () => waiter.reject(fault));
      return;
    }
    const { taken, result } = this.#reader.start(reads);
    if (taken !== null) this.#hold(taken);
    void result
      .then(
        async (value) => {
          await this.#report();
          // A submission may have been refused meanwhile.
          for (const read of reads) {
            const fault = faultIn(read);
            if (fault !== null && this.#refusals.has(fault)) throw fault;
          }
          return value;
        },
        async (error: unknown) => {
          // The word that the device is gone may be on its way.
          await Promise.race([this.lost, new Promise((done) => setTimeout(done, 100))]);
          await this.#report();
          throw error;
        },
      )
      .then(
        (value) => this.#settle(waiter, () => resolve(value)),
        (error: Error) => this.#settle(waiter, () => waiter.reject(error)),
      );
  }

  /** Rejects with what went wrong since the last report. */
  async #report(): Promise<void> {
    await this.#scopes;
    if (this.#lost !== null) throw this.#lost;
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) throw failure;
  }
}

function touch(slab: Slab, seq: number): void {
  for (const segment of slab.segments) segment.lastUse = seq;
}

/** Why there is no memory behind a slab, if so. */
function failureOf(slab: Slab): Error | null {
  for (const { failure } of slab.segments) if (failure !== null) return failure;
  return null;
}

/** Why a batch cannot run, if so: a shader, memory, or a value that it needs is not there. */
function faultOf(batch: Batch): Error | null {
  for (const { call, scratch } of batch.calls) {
    for (const { error } of call.pipelines) if (error !== null) return error;
    for (const slab of scratch) {
      const failure = failureOf(slab);
      if (failure !== null) return failure;
    }
  }
  for (const use of batch.reads) {
    const fault = faultIn(use);
    if (fault !== null) return fault;
  }
  for (const use of batch.writes) {
    // A piece that is written anew may have been missing.
    const fault = use.range === null ? faultIn(use) : (failureOf(use.slab) ?? use.content.fault);
    if (fault !== null) return fault;
  }
  return null;
}

/** Why what is used of a buffer is not there, if so. */
export function faultIn({ content, slab, range }: Use): Error | null {
  const whole = failureOf(slab) ?? content.fault;
  if (whole !== null || content.faults.length === 0) return whole;
  return content.faults.find((f) => range === null || overlaps(f.range, range))?.error ?? null;
}

/** Marks what was to be written as not there. */
function blame({ content, range }: Use, error: Error): void {
  if (range === null) content.fault ??= error;
  else content.faults = [...content.faults.filter((f) => !contains(range, f.range)), { range, error }];
}

/** A piece is there once it has been written. */
function clear({ content, range }: Use): void {
  if (range !== null && content.faults.length > 0)
    content.faults = content.faults.filter((f) => !contains(range, f.range));
}

const overlaps = (a: ByteRange, b: ByteRange): boolean => a[0] < b[1] && b[0] < a[1];
const contains = (a: ByteRange, b: ByteRange): boolean => a[0] <= b[0] && b[1] <= a[1];

/** Hands out what was set apart, in order. */
function setApart(slabs: readonly Slab[]): Scratch {
  let next = 0;
  return { take: () => slabs[next++]!, give: () => undefined };
}

/** What an item has to wait for, or null. */
function blockerOf(item: Item): Promise<void> | null {
  if (item.kind === "gate") return item.gate.open ? null : item.gate.done;
  if (item.kind !== "calls") return null;
  for (const { call } of item.batch.calls)
    for (const pipeline of call.pipelines) if (pipeline.ready === null && pipeline.error === null) return pipeline.done;
  return null;
}
