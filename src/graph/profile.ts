/** What devices are given to do while somebody looks: kernels by program, with their times and costs, and transfers. */

import type { Backend, Call, DeviceBuffer, ReadRequest } from "../backend/backend.ts";
import { ITEM_SIZE } from "../dtype.ts";
import { costOf, type Cost } from "./costs.ts";
import type { FusedData, KernelData, KernelStructure, RoutineData } from "./kernel.ts";
import type { Node } from "./node.ts";
import { listenForPhases, type Phase } from "./phases.ts";
import { observeRuns, type PlannedRun } from "./plan.ts";
import { observeTransfers } from "./transfers.ts";
import { showShape } from "./view.ts";
import { replaceMethods } from "./watch.ts";

/** Something that calls add up to. */
export interface Tally {
  calls: number;
  /** Milliseconds of those calls of which they are known, and how many these are. */
  ms: number;
  timed: number;
  bytes: number;
  /** Null where arithmetic is not counted. */
  flops: number | null;
}

/** All calls of one program on one device, of any shapes or of the same. */
export interface KernelTally extends Tally {
  readonly backend: Backend;
  readonly structure: KernelStructure;
  /** Shapes, if all calls have the same; null if not. Undefined where they are not known. */
  shapes: string | null | undefined;
  /** Bytes and operations of the calls of which the time is known. */
  timedBytes: number;
  timedFlops: number;
  /** The part of a step that all calls are of; null if they are of several. */
  phase: Phase | null;
}

/** Values that went one way. */
export interface TransferTally extends Tally {
  readonly kind: "upload" | "read" | "transfer";
  readonly backend: Backend;
  /** Where a value of another device comes from. */
  readonly from: Backend | null;
}

/** What a recorder saw. */
export interface Profiled {
  readonly kernels: readonly KernelTally[];
  readonly transfers: readonly TransferTally[];
  /** Devices whose calls cannot be timed. */
  readonly timeless: ReadonlySet<Backend>;
}

interface Open {
  readonly tally: KernelTally;
  readonly bytes: number;
  readonly flops: number;
}

/** Adds up what devices do until it is stopped. */
export class ProfileRecorder {
  readonly #kernels = new Map<Backend, Map<string, KernelTally>>();
  readonly #transfers = new Map<string, TransferTally>();
  readonly #ids = new Map<Backend, number>();
  /** What plans say of their calls, until these run. */
  readonly #nodesOf = new Map<Call, readonly Node[]>();
  /** Calls that were not timed yet. */
  readonly #open = new Map<Call, Open>();
  /** Costs by what stays the same from run to run of a plan. */
  readonly #costs = new WeakMap<object, Cost>();
  readonly #phases: { readonly phase: Phase; readonly from: number; readonly to: number }[] = [];
  /** For each program the nodes that its calls wrote last. */
  readonly #written = new Map<KernelTally, Set<number>>();
  readonly #timeless = new Set<Backend>();
  readonly #undo: (() => void)[] = [];
  readonly #finish: (() => Promise<void>)[] = [];

  readonly #byShape: boolean;

  /** Looks at these devices, and at those that come into use meanwhile. `byShape` keeps calls apart that have different shapes. */
  constructor(backends: Iterable<Backend>, byShape: boolean) {
    this.#byShape = byShape;
    for (const backend of backends) this.#watch(backend);
    const runsBefore = observeRuns((run) => this.#planned(run));
    const phasesBefore = listenForPhases((phase, from, to) => this.#phases.push({ phase, from, to }));
    const transfersBefore = observeTransfers((node, from, ms) => {
      const bytes = node.backend.bytesFor(node.dtype, node.numel);
      time(this.#moved("transfer", node.backend, from.backend, bytes), ms);
    });
    this.#undo.push(
      () => void observeRuns(runsBefore),
      () => void listenForPhases(phasesBefore),
      () => void observeTransfers(transfersBefore),
    );
  }

  #planned({ backend, calls, nodesOf }: PlannedRun): () => void {
    this.#watch(backend);
    calls.forEach((call, i) => this.#nodesOf.set(call, nodesOf[i]!));
    return () => undefined;
  }

  /** Puts what it hears in the way of a device's methods, on this object alone. */
  #watch(backend: Backend): void {
    if (this.#ids.has(backend)) return;
    this.#ids.set(backend, this.#ids.size);
    const run = backend.run.bind(backend);
    const upload = backend.upload.bind(backend);
    const read = backend.read.bind(backend);
    const readSync = backend.readSync?.bind(backend);
    const bytesOf = (requests: readonly ReadRequest[]): number =>
      requests.reduce((sum, { dtype, count }) => sum + backend.bytesFor(dtype, count), 0);
    const working: Partial<Backend> = {
      run: (calls) => {
        const entered = calls.map((call) => this.#enter(backend, call));
        try {
          run(calls);
        } catch (error) {
          // None of them ran.
          for (const call of calls) this.#open.delete(call);
          throw error;
        }
        for (const { tally, bytes, flops } of entered) {
          tally.calls++;
          tally.bytes += bytes;
          if (tally.flops !== null) tally.flops += flops;
        }
      },
      upload: (buffer, dtype, data) => {
        const start = performance.now();
        upload(buffer, dtype, data);
        time(this.#moved("upload", backend, null, backend.bytesFor(dtype, data.length)), performance.now() - start);
      },
    };
    // Devices that can be read at once do so for either kind of read.
    const reading: Partial<Backend> =
      readSync === undefined
        ? {
            read: (requests) => {
              const start = performance.now();
              const tally = this.#moved("read", backend, null, bytesOf(requests));
              return read(requests).then((result) => {
                time(tally, performance.now() - start);
                return result;
              });
            },
          }
        : {
            readSync: (requests) => {
              const start = performance.now();
              const result = readSync(requests);
              time(this.#moved("read", backend, null, bytesOf(requests)), performance.now() - start);
              return result;
            },
          };
    this.#undo.push(replaceMethods(backend, { ...working, ...reading }));
    const finish = backend.timeCalls?.((call, ms) => this.#timed(call, ms)) ?? null;
    if (finish === null) this.#timeless.add(backend);
    else this.#finish.push(finish);
  }

  #enter(backend: Backend, call: Call): Open {
    const { structure } = call.program;
    const nodes = this.#nodesOf.get(call);
    this.#nodesOf.delete(call);
    const cost = this.#costOf(call, nodes);
    const sum = (list: readonly number[]): number =>
      list.reduce((total, count, slot) => total + backend.bytesFor(structure.buffers[slot]!.dtype, count), 0);
    const bytes = sum(cost.reads) + sum(cost.writes);
    const shapes = nodes === undefined ? "" : shapesOf(structure, call.data, nodes);
    const tally = this.#tallyOf(backend, structure, this.#byShape ? shapes : "", cost.flops);
    if (nodes !== undefined) {
      tally.shapes = tally.shapes === undefined || tally.shapes === shapes ? shapes : null;
      const last = nodes.findLast((_, i) => structure.buffers[i]!.mode !== "read");
      if (last !== undefined) this.#written.get(tally)!.add(last.id);
    }
    const open = { tally, bytes, flops: cost.flops ?? 0 };
    if (!this.#timeless.has(backend)) this.#open.set(call, open);
    return open;
  }

  #tallyOf(backend: Backend, structure: KernelStructure, group: string, flops: number | null): KernelTally {
    let tallies = this.#kernels.get(backend);
    if (tallies === undefined) this.#kernels.set(backend, (tallies = new Map<string, KernelTally>()));
    const key = `${structure.key}|${group}`;
    let tally = tallies.get(key);
    if (tally === undefined) {
      const sums = { calls: 0, ms: 0, timed: 0, bytes: 0, timedBytes: 0, timedFlops: 0 };
      tally = { backend, structure, shapes: undefined, phase: null, flops: flops === null ? null : 0, ...sums };
      tallies.set(key, tally);
      this.#written.set(tally, new Set());
    }
    return tally;
  }

  #costOf({ program: { structure }, data, buffers }: Call, nodes: readonly Node[] | undefined): Cost {
    const lasting = structure.kind === "fused" ? (data as FusedData).strides : (data as RoutineData).ints;
    let cost = this.#costs.get(lasting);
    if (cost === undefined) {
      const capacity = (slot: number): number =>
        nodes?.[slot]?.numel ?? elementsIn(buffers[slot]!, structure.buffers[slot]!);
      cost = costOf(structure, data, capacity);
      this.#costs.set(lasting, cost);
    }
    return cost;
  }

  #timed(call: Call, ms: number): void {
    const open = this.#open.get(call);
    if (open === undefined) return;
    this.#open.delete(call);
    time(open.tally, ms);
    open.tally.timedBytes += open.bytes;
    open.tally.timedFlops += open.flops;
  }

  /** Counts a transfer. */
  #moved(kind: TransferTally["kind"], backend: Backend, from: Backend | null, bytes: number): TransferTally {
    const key = `${kind}:${this.#ids.get(backend)}:${from === null ? "" : from.type}`;
    let tally = this.#transfers.get(key);
    if (tally === undefined) {
      tally = { kind, backend, from, calls: 0, ms: 0, timed: 0, bytes: 0, flops: null };
      this.#transfers.set(key, tally);
    }
    tally.calls++;
    tally.bytes += bytes;
    return tally;
  }

  #phaseOf(id: number): Phase {
    return this.#phases.findLast(({ from, to }) => id > from && id <= to)?.phase ?? "forward";
  }

  /** Ends recording, and resolves with what was seen once all times are known. Never rejects. */
  async stop(): Promise<Profiled> {
    for (const undo of this.#undo.toReversed()) undo();
    await Promise.all(this.#finish.map((finish) => finish()));
    const kernels = [...this.#kernels.values()].flatMap((tallies) => [...tallies.values()]).filter((t) => t.calls > 0);
    for (const tally of kernels) {
      const phases = new Set(Array.from(this.#written.get(tally)!, (id) => this.#phaseOf(id)));
      tally.phase = phases.size === 1 ? [...phases][0]! : null;
    }
    return { kernels, transfers: [...this.#transfers.values()], timeless: this.#timeless };
  }
}

function time(tally: Tally, ms: number): void {
  tally.ms += ms;
  tally.timed++;
}

/** The most elements that a buffer can hold. */
function elementsIn({ bytes }: DeviceBuffer, { dtype }: KernelStructure["buffers"][number]): number {
  return Math.floor(bytes / ITEM_SIZE[dtype]);
}

/** Shapes as users know them: of the matrices of a product; else of the largest operand, and of what is written. */
function shapesOf(structure: KernelStructure, data: KernelData, nodes: readonly Node[]): string {
  if (structure.kind === "routine" && structure.name === "matmul") {
    const { ints } = data as RoutineData;
    const [m, n, k] = ints as [number, number, number];
    const batch = ints.slice(3, 3 + Number(structure.attrs["rank"]));
    return `${showShape([...batch, m, k])} @ ${showShape([...batch, k, n])}`;
  }
  const written = nodes.filter((_, i) => structure.buffers[i]!.mode !== "read");
  const results = [...new Set(written.map((node) => showShape(node.shape)))].join(", ");
  const read = nodes.filter((_, i) => structure.buffers[i]!.mode !== "write");
  const largest = read.reduce<Node | null>(
    (most, node) => (most === null || node.numel > most.numel ? node : most),
    null,
  );
  const operand = largest === null ? results : showShape(largest.shape);
  return operand === results ? results : `${operand} -> ${results}`;
}
