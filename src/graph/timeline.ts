/** The lives of a device's buffers, as its kernels, uploads and reads go by. */

import type { Backend, Call, DeviceBuffer, ReadRequest } from "../backend/backend.ts";
import type { DType } from "../dtype.ts";
import { figuresOf, ownerOf, type LiveValue, type ValueOwner } from "./figures.ts";
import { operationOf, type Node } from "./node.ts";
import { listenForPhases, type Phase } from "./phases.ts";
import { observeRuns, type PlannedRun } from "./plan.ts";
import { replaceMethods } from "./watch.ts";

/** Something that a device was given to do. */
export interface TimelineStep {
  readonly kind: "kernel" | "upload" | "read";
  /** Operations whose results a kernel writes; what is uploaded or read. */
  readonly operations: readonly string[];
  /** The part of a training step that recorded the results: `step` is the optimiser's. */
  readonly phase: Phase;
  /** Bytes of all buffers that were handed out at this moment. */
  readonly bytes: number;
}

/** A value that lived in a buffer. */
export interface TimelineValue {
  readonly operation: string;
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly owner: ValueOwner;
  /** The line that made it, in debug mode. */
  readonly site: string | null;
  /** Steps that first and last used it (state and copies: up to the buffer's end). */
  readonly from: number;
  readonly to: number;
  /** Steps that wrote it, and steps that read it, in order: none of the former for what was there before. */
  readonly writtenBy: readonly number[];
  readonly readBy: readonly number[];
}

/** A buffer from when it was handed out to when it was given back. */
export interface TimelineBuffer {
  readonly bytes: number;
  /** The step before which it was handed out (0: it was there before), and the one before which it was given back; null if it is still there. */
  readonly from: number;
  readonly to: number | null;
  /** True if it was there before. */
  readonly isOld: boolean;
  /** What most of its life it was for. */
  readonly owner: ValueOwner;
  /** What lived in it, in order. */
  readonly values: readonly TimelineValue[];
  /** Position (among the buffers) of the next one in the same memory; null if there was none. */
  readonly reusedBy: number | null;
}

/** What a recorder saw. */
export interface Timeline {
  readonly steps: readonly TimelineStep[];
  /** In the order in which they were handed out. */
  readonly buffers: readonly TimelineBuffer[];
  /** The most bytes of all buffers at one moment, and the step before which, or at which, that was. */
  readonly peakBytes: number;
  readonly peakAt: number;
}

interface Tenant {
  node: Node | null;
  readonly figures: LiveValue;
  owner: ValueOwner;
  from: number;
  to: number;
  /** Lives as long as its buffer does, or until another value takes it. */
  stays: boolean;
  readonly writtenBy: number[];
  readonly readBy: number[];
}

interface Life {
  readonly memory: DeviceBuffer;
  readonly bytes: number;
  readonly from: number;
  readonly isOld: boolean;
  readonly tenants: Tenant[];
  /** The upload that brought what the next value is; null if there was none. */
  uploadedAt: number | null;
  to: number | null;
}

/** Records the lives of buffers until it is stopped. */
export class TimelineRecorder {
  readonly #backend: Backend;
  readonly #lives: Life[] = [];
  readonly #open = new Map<DeviceBuffer, Life>();
  readonly #steps: { kind: TimelineStep["kind"]; operations: string[]; phase: Phase; bytes: number }[] = [];
  readonly #phases: { phase: Phase; from: number; to: number }[] = [];
  /** What plans say of their calls, until these run. */
  readonly #nodesOf = new Map<Call, readonly Node[]>();
  readonly #undo: (() => void)[] = [];
  #bytes = 0;
  #peakBytes = 0;
  #peakAt = 0;

  /** `holdings` are the buffers that are there before. */
  constructor(backend: Backend, holdings: Iterable<{ buffer: DeviceBuffer; value: LiveValue; node: Node | null }>) {
    this.#backend = backend;
    for (const { buffer, value, node } of holdings) {
      const life = this.#begin(buffer, true);
      const uses = { writtenBy: [], readBy: [] };
      life.tenants.push({ node, figures: value, owner: value.owner, from: 0, to: 0, stays: true, ...uses });
    }
    this.#watch();
    const runsBefore = observeRuns((planned) => this.#planned(planned));
    const phasesBefore = listenForPhases((phase, from, to) => this.#phases.push({ phase, from, to }));
    this.#undo.push(
      () => void observeRuns(runsBefore),
      () => void listenForPhases(phasesBefore),
    );
  }

  get #now(): number {
    return this.#steps.length;
  }

  #begin(memory: DeviceBuffer, isOld: boolean): Life {
    const life: Life = { memory, bytes: memory.bytes, from: this.#now, isOld, tenants: [], uploadedAt: null, to: null };
    this.#lives.push(life);
    this.#open.set(memory, life);
    this.#bytes += life.bytes;
    if (this.#bytes > this.#peakBytes) {
      this.#peakBytes = this.#bytes;
      this.#peakAt = this.#now;
    }
    return life;
  }

  /** Puts what it hears in the way of the device's methods, on this object alone. */
  #watch(): void {
    const backend = this.#backend;
    const allocate = backend.allocate.bind(backend);
    const release = backend.release.bind(backend);
    const upload = backend.upload.bind(backend);
    const run = backend.run.bind(backend);
    const read = backend.read.bind(backend);
    const readSync = backend.readSync?.bind(backend);
    const working: Pick<Backend, "allocate" | "release" | "upload" | "run"> = {
      allocate: (...args) => {
        const buffer = allocate(...args);
        this.#begin(buffer, false);
        return buffer;
      },
      release: (buffer) => {
        release(buffer);
        this.#end(buffer);
      },
      upload: (buffer, dtype, data) => {
        upload(buffer, dtype, data);
        const life = this.#open.get(buffer);
        if (life !== undefined) life.uploadedAt = this.#now;
        this.#step("upload", ["tensor"], "forward");
      },
      run: (calls) => {
        run(calls);
        for (const call of calls) this.#ran(call);
      },
    };
    // Devices that can be read at once do so for either kind of read.
    const reading: Partial<Pick<Backend, "read" | "readSync">> =
      readSync === undefined
        ? { read: (requests) => this.#reads(requests, read) }
        : { readSync: (requests) => this.#reads(requests, readSync) };
    this.#undo.push(replaceMethods(backend, { ...working, ...reading }));
  }

  #reads<R>(requests: readonly ReadRequest[], read: (requests: readonly ReadRequest[]) => R): R {
    const result = read(requests);
    const operations = requests.map(
      ({ buffer }) => this.#open.get(buffer)?.tenants.at(-1)?.figures.operation ?? "copy",
    );
    for (const { buffer } of requests) {
      const tenant = this.#open.get(buffer)?.tenants.at(-1);
      if (tenant === undefined) continue;
      tenant.to = this.#now;
      if (tenant.readBy.at(-1) !== this.#now) tenant.readBy.push(this.#now);
    }
    this.#step("read", [...new Set(operations)], this.#steps.at(-1)?.phase ?? "forward");
    return result;
  }

  #end(buffer: DeviceBuffer): void {
    const life = this.#open.get(buffer);
    if (life === undefined) return;
    this.#open.delete(buffer);
    life.to = this.#now;
    this.#bytes -= life.bytes;
    for (const tenant of life.tenants) settle(tenant);
  }

  #step(kind: TimelineStep["kind"], operations: string[], phase: Phase): void {
    this.#steps.push({ kind, operations, phase, bytes: this.#bytes });
  }

  #ran(call: Call): void {
    const nodes = this.#nodesOf.get(call);
    this.#nodesOf.delete(call);
    const slots = call.program.structure.buffers;
    const written = nodes?.filter((_, i) => slots[i]!.mode !== "read") ?? [];
    if (nodes === undefined) this.#copied(call.buffers);
    else nodes.forEach((node, i) => this.#use(call.buffers[i]!, node, slots[i]!.mode));
    const last = written.at(-1);
    this.#step(
      "kernel",
      nodes === undefined ? ["copy"] : [...new Set(written.map(operationOf))],
      last === undefined ? "forward" : this.#phaseOf(last),
    );
  }

  /** Memory that the library copies for itself holds what it held. */
  #copied(buffers: readonly DeviceBuffer[]): void {
    for (const buffer of buffers) {
      const tenant = this.#open.get(buffer)?.tenants.at(-1);
      if (tenant !== undefined) tenant.to = this.#now;
    }
  }

  #phaseOf(node: Node): Phase {
    return this.#phases.findLast(({ from, to }) => node.id > from && node.id <= to)?.phase ?? "forward";
  }

  #use(buffer: DeviceBuffer, node: Node, mode: "read" | "write" | "read-write"): void {
    const life = this.#open.get(buffer);
    if (life === undefined) return;
    const last = life.tenants.at(-1);
    // Of state that was there before, the node is not known until it is used.
    if (last?.node === null && mode !== "write" && last.from === 0) last.node = node;
    let tenant = last;
    if (last?.node === node) {
      last.to = this.#now;
      settle(last);
    } else {
      if (last !== undefined) {
        settle(last);
        if (last.stays) last.to = Math.max(this.#now - 1, last.from);
        last.stays = false;
        // What is changed in place was read, too.
        if (mode === "read-write") {
          last.readBy.push(this.#now);
          last.to = this.#now;
        }
      }
      tenant = tenantOf(node, life.uploadedAt ?? this.#now, life.bytes);
      tenant.to = this.#now;
      if (life.uploadedAt !== null) tenant.writtenBy.push(life.uploadedAt);
      life.uploadedAt = null;
      life.tenants.push(tenant);
    }
    tenant![mode === "read" ? "readBy" : "writtenBy"].push(this.#now);
  }

  #planned({ calls, nodesOf, targets }: PlannedRun): () => void {
    calls.forEach((call, i) => this.#nodesOf.set(call, nodesOf[i]!));
    // Who owns what is known once all has run.
    return () => {
      for (const { node, buffer } of targets) {
        const life = this.#open.get(buffer);
        if (life === undefined) continue;
        const last = life.tenants.at(-1);
        if (last === undefined || last.node !== node) {
          const at = Math.max(last?.to ?? this.#now - 1, 0);
          const tenant = { ...tenantOf(node, at, life.bytes), stays: true };
          if (last !== undefined) {
            last.stays = false;
            // Written over in place: what was bound under the name of the old value is the new one.
            if (last.writtenBy.at(-1) === at && last.from < at) {
              tenant.writtenBy.push(last.writtenBy.pop()!);
              if (last.readBy.at(-1) !== at) last.readBy.push(at);
            }
          }
          life.tenants.push(tenant);
        } else last.stays = true;
      }
    };
  }

  /** Stops recording, and tells what was seen. */
  stop(): Timeline {
    for (const undo of this.#undo) undo();
    const order = new Map(this.#lives.map((life, i) => [life, i]));
    const next = new Map<DeviceBuffer, number>();
    const reusedBy: (number | null)[] = [];
    for (const life of this.#lives.toReversed()) {
      reusedBy.unshift(next.get(life.memory) ?? null);
      next.set(life.memory, order.get(life)!);
    }
    const end = this.#now;
    return {
      steps: this.#steps,
      buffers: this.#lives.map((life, i) => toBuffer(life, reusedBy[i]!, end)),
      peakBytes: this.#peakBytes,
      peakAt: this.#peakAt,
    };
  }
}

function tenantOf(node: Node, at: number, bytes: number): Tenant {
  const figures = figuresOf(node, bytes);
  const uses = { writtenBy: [], readBy: [] };
  const tenant: Tenant = { node, figures, owner: "temporary", from: at, to: at, stays: node.buffer !== null, ...uses };
  settle(tenant);
  return tenant;
}

/** Takes what a value is to the user by now: what it was before counts less, but for state. */
function settle(tenant: Tenant): void {
  const { node } = tenant;
  if (node === null) return;
  if (node.role !== null) tenant.owner = node.role;
  else if (isState(tenant.owner)) return;
  else if (node.wasSaved) tenant.owner = "saved for backward";
  else if (!node.pending) tenant.owner = ownerOf(node);
}

function isState(owner: ValueOwner): boolean {
  return ["parameter", "gradient", "optimiser state", "retained", "written in place"].includes(owner);
}

function toBuffer(life: Life, reusedBy: number | null, end: number): TimelineBuffer {
  const close = life.to ?? end;
  for (const tenant of life.tenants) if (life.to === null) settle(tenant);
  const values = life.tenants.map(({ figures, owner, from, to, stays, writtenBy, readBy }): TimelineValue => {
    const { operation, shape, dtype, site } = figures;
    const last = stays ? Math.max(close - 1, from) : to;
    return { operation, shape, dtype, owner, site, from, to: last, writtenBy, readBy };
  });
  const time = new Map<ValueOwner, number>();
  for (const { owner, from, to } of values) time.set(owner, (time.get(owner) ?? 0) + to - from + 1);
  const [owner] = [...time].reduce((a, b) => (b[1] > a[1] ? b : a), ["temporary", -1] as [ValueOwner, number]);
  return { bytes: life.bytes, from: life.from, to: life.to, isOld: life.isOld, owner, values, reusedBy };
}
