/** Records dispatches and copies into one encoder, with their parameters in one arena, and submits them together. */

import type { WorkBudget } from "./budget.ts";
import type { Pipeline, Pipelines } from "./pipelines.ts";
import { USAGE, type Bindable } from "./pool.ts";
import type { WordWriter } from "./shader.ts";

/** Bytes of the parameter arena. A submission uses a part of it; the next one the part behind. */
const ARENA_BYTES = 1 << 20;
/** Alignment of dynamic uniform offsets that every device accepts. */
const ALIGNMENT = 256;
/** Bind groups kept. */
const MAX_BIND_GROUPS = 4096;

/** Work of a workgroup, where the caller does not say. */
const UNITS_PER_GROUP = 4096;

/** What a submission is told when it was made: for errors that come back later. */
export interface Submission {
  /** Keys of the kernels in it. */
  readonly kernels: readonly string[];
  /** Work of all of them, in units of the budget. */
  readonly work: number;
}

/** Queries for the start of the first pass and, behind it, for the end of the last. */
interface Stamps {
  readonly querySet: GPUQuerySet;
  readonly first: number;
  hasBegun: boolean;
  /** True if the last that was recorded is no pass. */
  isBehind: boolean;
}

export class Recorder implements WordWriter {
  readonly #device: GPUDevice;
  readonly #pipelines: Pipelines;
  readonly #status: GPUBuffer;
  readonly #submitted: (submission: Submission, scope: Promise<GPUError | null>) => void;
  readonly #budget: WorkBudget;
  readonly #arena: GPUBuffer;
  readonly #bytes = new ArrayBuffer(ARENA_BYTES);
  readonly #u32 = new Uint32Array(this.#bytes);
  readonly #i32 = new Int32Array(this.#bytes);
  readonly #f32 = new Float32Array(this.#bytes);
  /**
   * Bytes of the arena that are bound for a dispatch: the most that any has taken. (With sizes that differ, wgpu holds a binding to the size that an earlier
   * pipeline of the pass wants, if both have the same layout.)
   */
  #window = 0;
  /** Arena bytes of the submission being recorded: from `#start` to `#end`. */
  #start = 0;
  #end = 0;
  #word = 0;
  #encoder: GPUCommandEncoder | null = null;
  #pass: GPUComputePassEncoder | null = null;
  #kernels: string[] = [];
  #work = 0;
  /** Where the passes that are begun now write when they start and end. */
  #stamps: Stamps | null = null;
  readonly #groups = new Map<string, GPUBindGroup>();
  readonly #groupsOfMemory = new Map<number, Set<string>>();
  readonly #paramGroups = new Map<string, GPUBindGroup>();
  readonly #statusGroup: GPUBindGroup;
  readonly #layoutIds = new Map<GPUBindGroupLayout, number>();
  /** Dispatches recorded so far. */
  dispatches = 0;

  constructor(
    device: GPUDevice,
    pipelines: Pipelines,
    status: GPUBuffer,
    budget: WorkBudget,
    submitted: (submission: Submission, scope: Promise<GPUError | null>) => void,
  ) {
    this.#device = device;
    this.#pipelines = pipelines;
    this.#status = status;
    this.#budget = budget;
    this.#submitted = submitted;
    const entries = [{ binding: 1, resource: { buffer: status } }];
    this.#statusGroup = device.createBindGroup({ layout: pipelines.onlyStatusLayout, entries });
    this.#arena = device.createBuffer({ size: ARENA_BYTES, usage: USAGE.UNIFORM | USAGE.COPY_DST });
  }

  i32(value: number): void {
    this.#i32[this.#word++] = value;
  }
  u32(value: number): void {
    this.#u32[this.#word++] = value;
  }
  f32(value: number): void {
    this.#f32[this.#word++] = value;
  }

  /**
   * Records a dispatch of a pipeline that is ready. `memory` follows the shader's bindings; `writeWords` writes the
   * parameters behind the common header; `work` is in units of the budget.
   */
  dispatch(
    pipeline: Pipeline,
    memory: readonly Bindable[],
    groups: readonly [number, number],
    tag: number,
    writeWords: (w: WordWriter) => void,
    work = groups[0] * groups[1] * UNITS_PER_GROUP,
  ): void {
    // A submission may be what the watchdog looks at.
    if (this.#work > 0 && this.#work + work > this.#budget.units) this.flush();
    const { shader, isImmediate } = pipeline;
    const size = Math.ceil((shader.words * 4) / ALIGNMENT) * ALIGNMENT;
    if (!isImmediate) this.#window = Math.max(this.#window, size);
    if (this.#end + Math.max(this.#window, size) > ARENA_BYTES) {
      this.flush();
      this.#start = this.#end = 0;
    }
    const offset = this.#end;
    this.#word = offset / 4;
    this.u32(0x7f800000);
    this.u32(0x7fc00000);
    this.u32(tag);
    writeWords(this);
    if (this.#word !== offset / 4 + shader.words)
      throw new Error(`${shader.key} takes ${shader.words} words of parameters, got ${this.#word - offset / 4}`);
    const pass = this.#computePass();
    pass.setPipeline(pipeline.ready!);
    if (isImmediate) {
      // They are copied at the call: the next dispatch writes its words over them.
      pass.setImmediates(0, this.#u32, offset / 4, shader.words);
      if (shader.usesStatus) pass.setBindGroup(0, this.#statusGroup);
    } else {
      this.#end = offset + size;
      pass.setBindGroup(0, this.#paramGroup(this.#window, shader.usesStatus), [offset]);
    }
    pass.setBindGroup(1, this.#bindGroup(pipeline.bufferLayout, memory));
    pass.dispatchWorkgroups(groups[0], groups[1]);
    this.#work += work;
    this.#kernels.push(shader.key);
    this.dispatches++;
  }

  /** Records a copy between buffers, bytes (multiples of 4). */
  copy(source: GPUBuffer, sourceOffset: number, target: GPUBuffer, targetOffset: number, bytes: number): void {
    this.#leavePass();
    this.#open().copyBufferToBuffer(source, sourceOffset, target, targetOffset, bytes);
  }

  /** Records that a buffer's bytes become zero. */
  clear(buffer: GPUBuffer): void {
    this.#leavePass();
    this.#open().clearBuffer(buffer);
  }

  /** Submits what `record` records, by itself; the start of its first pass and the end of its last go to queries 0 and 1 of the set. */
  stamped(querySet: GPUQuerySet, record: () => void): void {
    this.flush();
    try {
      this.stamp(querySet, 0, record);
    } finally {
      this.flush();
    }
  }

  /** Puts what `record` records into passes of its own; when it starts and ends goes to query `first` of the set and the one behind. */
  stamp(querySet: GPUQuerySet, first: number, record: () => void): void {
    this.#endPass();
    const stamps: Stamps = { querySet, first, hasBegun: false, isBehind: false };
    this.#stamps = stamps;
    try {
      record();
      // The end of a copy is that of an empty pass behind it.
      if (stamps.isBehind) this.#computePass();
    } finally {
      this.#endPass();
      this.#stamps = null;
    }
  }

  /** Submits what was recorded, if anything. */
  flush(): void {
    if (this.#encoder === null) return;
    this.#endPass();
    const commands = this.#encoder.finish();
    const { queue } = this.#device;
    if (this.#end > this.#start)
      queue.writeBuffer(this.#arena, this.#start, this.#bytes, this.#start, this.#end - this.#start);
    queue.submit([commands]);
    this.#submitted({ kernels: this.#kernels, work: this.#work }, this.#device.popErrorScope());
    this.#encoder = null;
    this.#kernels = [];
    this.#work = 0;
    this.#start = this.#end;
  }

  /** Forgets the bind groups that hold a buffer. */
  forget(id: number): void {
    const keys = this.#groupsOfMemory.get(id);
    if (keys === undefined) return;
    for (const key of keys) this.#groups.delete(key);
    this.#groupsOfMemory.delete(id);
  }

  destroy(): void {
    this.#arena.destroy();
    this.#groups.clear();
    this.#groupsOfMemory.clear();
    this.#paramGroups.clear();
  }

  #open(): GPUCommandEncoder {
    if (this.#encoder === null) {
      this.#device.pushErrorScope("validation");
      this.#encoder = this.#device.createCommandEncoder();
    }
    return this.#encoder;
  }

  #computePass(): GPUComputePassEncoder {
    this.#pass ??= this.#open().beginComputePass(this.#passDescriptor());
    return this.#pass;
  }

  #passDescriptor(): GPUComputePassDescriptor | undefined {
    const stamps = this.#stamps;
    if (stamps === null) return undefined;
    const { querySet, first, hasBegun } = stamps;
    stamps.hasBegun = true;
    stamps.isBehind = false;
    const end = { querySet, endOfPassWriteIndex: first + 1 };
    return { timestampWrites: hasBegun ? end : { ...end, beginningOfPassWriteIndex: first } };
  }

  /** Ends the pass for a copy. Its start is that of an empty pass before it, if it is the first that is timed. */
  #leavePass(): void {
    if (this.#stamps !== null) {
      if (!this.#stamps.hasBegun) this.#computePass();
      this.#stamps.isBehind = true;
    }
    this.#endPass();
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = null;
  }

  #paramGroup(size: number, usesStatus: boolean): GPUBindGroup {
    const key = `${size}${usesStatus ? "!" : ""}`;
    let group = this.#paramGroups.get(key);
    if (group === undefined) {
      const entries: GPUBindGroupEntry[] = [{ binding: 0, resource: { buffer: this.#arena, size } }];
      if (usesStatus) entries.push({ binding: 1, resource: { buffer: this.#status } });
      const layout = usesStatus ? this.#pipelines.statusLayout : this.#pipelines.plainLayout;
      group = this.#device.createBindGroup({ layout, entries });
      this.#paramGroups.set(key, group);
    }
    return group;
  }

  #bindGroup(layout: GPUBindGroupLayout, memory: readonly Bindable[]): GPUBindGroup {
    let layoutId = this.#layoutIds.get(layout);
    if (layoutId === undefined) {
      layoutId = this.#layoutIds.size;
      this.#layoutIds.set(layout, layoutId);
    }
    let key = `${layoutId}`;
    for (const { id } of memory) key += `,${id}`;
    let group = this.#groups.get(key);
    if (group !== undefined) return group;
    if (this.#groups.size >= MAX_BIND_GROUPS) {
      this.#groups.clear();
      this.#groupsOfMemory.clear();
    }
    const entries = memory.map(({ gpu }, binding) => ({ binding, resource: { buffer: gpu } }));
    group = this.#device.createBindGroup({ layout, entries });
    this.#groups.set(key, group);
    for (const { id } of memory) {
      const keys = this.#groupsOfMemory.get(id);
      if (keys === undefined) this.#groupsOfMemory.set(id, new Set([key]));
      else keys.add(key);
    }
    return group;
  }
}
