/** Where the time of a piece of a program goes. */

import { applyOptions, describeValue } from "./args.ts";
import type { Backend, Ceiling, DeviceType } from "./backend/backend.ts";
import { describeKernel } from "./backend/webgpu/describe.ts";
import { ArgumentError } from "./errors.ts";
import { activeBackends, defaultBackend } from "./graph/devices.ts";
import type { KernelStructure } from "./graph/kernel.ts";
import type { Phase } from "./graph/phases.ts";
import { ProfileRecorder, type KernelTally, type Profiled, type TransferTally } from "./graph/profile.ts";
import { watchAlone } from "./graph/watch.ts";
import { synchronize } from "./init.ts";

/** What `profile()` may be told. */
export interface ProfileOptions {
  /** True gives calls of one kernel a row for each of their shapes. */
  readonly groupByInputShape?: boolean | undefined;
}

/** All calls of one kernel, or all transfers of one kind, on one device. */
export interface ProfileRow {
  /**
   * `"kernel"`; `"upload"` and `"read"` between the host and a device; `"transfer"` from one device to another, for which the operations behind it had to wait (its read and its
   * upload are rows, too).
   */
  readonly kind: "kernel" | "upload" | "read" | "transfer";
  /** The operations of a kernel, with its shapes where all calls have the same. */
  readonly name: string;
  readonly device: DeviceType;
  readonly calls: number;
  /**
   * Milliseconds of all calls together; null where they are not known. Of kernels it is time on the device (on the CPU and on GPUs with `timestamp-query`); of transfers it is
   * the host's, with the kernels that they waited for.
   */
  readonly time: number | null;
  /** Bytes that have to be read and written: of each operand every element that is used, once. */
  readonly bytes: number;
  /** Multiplications and additions, without those of padding, of products, convolutions and attention; null for all else. */
  readonly flops: number | null;
  /**
   * Share of the roofline: the least time that the ceiling allows for these bytes and operations, over the measured time. 1 is as fast as memory or arithmetic can be; more is
   * possible where data stays in caches. Null for transfers, and where a time or the ceiling is not known.
   */
  readonly share: number | null;
  /** The part of a training step that recorded it; null if it is of several, or not known. */
  readonly phase: Phase | null;
}

/** A device that took part in a profile. */
export interface ProfiledDevice {
  readonly type: DeviceType;
  /** Adapter or engine, for people. */
  readonly description: string;
  /** False where kernels cannot be timed: on GPUs without `timestamp-query`. */
  readonly isTimed: boolean;
  /** What was measured of it, after its first profile; null where nothing can be, or if it ran no kernel. */
  readonly ceiling: Ceiling | null;
}

/** What `profile` saw, and what the function gave. */
export interface Profile<R> {
  /** The device of new tensors, when it began. */
  readonly device: DeviceType;
  /** What the function gave. */
  readonly result: R;
  /** Milliseconds until all of it was computed. */
  readonly wallMs: number;
  /** The longest first, then those of unknown time. */
  readonly rows: readonly ProfileRow[];
  /** The ceiling of `device`; null if it took no part, or has none. */
  readonly ceiling: Ceiling | null;
  /** Every device that took part. */
  readonly devices: readonly ProfiledDevice[];
  /** A table of the rows, with totals. */
  toString(): string;
}

/** What was measured of devices; how a CPU is described tells its threads. */
const ceilings = new WeakMap<Backend, { readonly description: string; readonly ceiling: Ceiling | null }>();

async function ceilingOf(backend: Backend): Promise<Ceiling | null> {
  const { description } = backend;
  const known = ceilings.get(backend);
  if (known?.description === description) return known.ceiling;
  const ceiling = (await backend.measureCeiling?.()) ?? null;
  ceilings.set(backend, { description, ceiling });
  return ceiling;
}

/**
 * Runs `fn` (which may be asynchronous), computes what it recorded, and tells where the time went: a row a kernel and a row a kind of transfer, on all devices, as
 * `torch.profiler` does. Print it, or read its `rows`; `groupByInputShape` gives a row for each of a kernel's shapes. Whatever else runs meanwhile is counted, too.
 *
 * The first run of a program also plans and compiles: profile the second. On a GPU each kernel runs in a compute pass of its own to be timed, which costs the device some
 * microseconds a kernel; browsers round timestamps, often to 0.1 ms, so repeat short programs in `fn`. After the first profile of a device its ceiling is measured, for some tens of milliseconds.
 *
 * Throws an `ArgumentError` if `fn` is no function, or if another profile, or a timeline, is being recorded; what `fn` throws, and a device's errors, are passed on.
 */
export async function profile<R>(fn: () => R | Promise<R>, options: ProfileOptions = {}): Promise<Profile<R>> {
  if (typeof fn !== "function") throw new ArgumentError(`profile: expected a function, got ${describeValue(fn)}`);
  applyOptions("profile", ["groupByInputShape"], {}, options as Record<string, unknown>, {});
  const stopWatching = watchAlone("profile", "profile");
  try {
    const main = defaultBackend();
    const recorder = new ProfileRecorder(new Set([main, ...activeBackends()]), options.groupByInputShape === true);
    let profiled: Profiled;
    let result: R;
    let wallMs: number;
    try {
      const start = performance.now();
      result = await fn();
      await synchronize();
      wallMs = performance.now() - start;
    } finally {
      profiled = await recorder.stop();
    }
    const used = new Set([...profiled.kernels, ...profiled.transfers].map(({ backend }) => backend));
    const ceilingsOf = new Map<Backend, Ceiling | null>();
    for (const { backend } of profiled.kernels) ceilingsOf.set(backend, await ceilingOf(backend));
    const rows = [
      ...profiled.kernels.map((tally) => kernelRow(tally, ceilingsOf.get(tally.backend)!)),
      ...profiled.transfers.map(transferRow),
    ].sort((a, b) => (b.time ?? -1) - (a.time ?? -1) || b.bytes - a.bytes);
    const devices = Array.from(used, (backend): ProfiledDevice => ({
      type: backend.type,
      description: backend.description,
      isTimed: !profiled.timeless.has(backend),
      ceiling: ceilingsOf.get(backend) ?? null,
    }));
    const ceiling = ceilingsOf.get(main) ?? null;
    return {
      device: main.type,
      result,
      wallMs,
      rows,
      ceiling,
      devices,
      toString: () => show(rows, devices, wallMs),
    };
  } finally {
    stopWatching();
  }
}

function kernelRow(tally: KernelTally, ceiling: Ceiling | null): ProfileRow {
  const { backend, structure, shapes, calls, ms, timed, bytes, flops, timedBytes, timedFlops, phase } = tally;
  const least = ceiling === null ? 0 : 1e3 * Math.max(timedBytes / ceiling.bandwidth, timedFlops / ceiling.flops);
  return {
    kind: "kernel",
    name: shapes ? `${operationsOf(structure)} ${shapes}` : operationsOf(structure),
    device: backend.type,
    calls,
    time: timed > 0 ? ms : null,
    bytes,
    flops,
    share: ceiling !== null && ms > 0 ? least / ms : null,
    phase,
  };
}

function transferRow({ kind, backend, from, calls, ms, timed, bytes }: TransferTally): ProfileRow {
  const name = kind === "transfer" ? `transfer from ${from!.type} to ${backend.type}` : kind;
  const time = timed > 0 ? ms : null;
  return { kind, name, device: backend.type, calls, time, bytes, flops: null, share: null, phase: null };
}

/** What a kernel does, as a name. */
function operationsOf(structure: KernelStructure): string {
  if (structure.kind === "routine") {
    const { name, attrs, epilogue } = structure;
    const gradient = attrs["pass"] === "query" || attrs["pass"] === "keyValue";
    const own = name === "scan" ? `cum${attrs["kind"]}` : gradient ? `${name} gradient` : name;
    return epilogue === undefined ? own : `${own}, ${operationsOf(epilogue.structure)}`;
  }
  const text = describeKernel(structure);
  return text === "a copying kernel" ? "copy" : text.replace(/^a kernel of /, "");
}

// --- the table ---------------------------------------------------------------------------------------------------------

interface Column {
  readonly title: string;
  readonly cell: (row: ProfileRow) => string;
  readonly isText?: boolean;
}

/** The longest name that is written out. */
const LONGEST_NAME = 60;

function milliseconds(ms: number | null): string {
  if (ms === null) return "-";
  return ms >= 100 ? `${ms.toFixed(1)} ms` : ms >= 0.1 ? `${ms.toFixed(3)} ms` : `${(ms * 1e3).toFixed(2)} us`;
}

/** A number with the prefix that makes it short. */
function scaled(value: number, unit: string): string {
  const prefixes = ["", "K", "M", "G", "T", "P"];
  let at = 0;
  let rest = value;
  while (rest >= 1000 && at < prefixes.length - 1) {
    rest /= 1000;
    at++;
  }
  return `${at === 0 ? String(Math.round(rest)) : rest.toFixed(rest < 10 ? 2 : 1)} ${prefixes[at]}${unit}`;
}

const percent = (share: number | null): string => (share === null ? "-" : `${(100 * share).toFixed(1)}%`);

function show(rows: readonly ProfileRow[], devices: readonly ProfiledDevice[], wallMs: number): string {
  const kernels = rows.filter((row) => row.kind === "kernel");
  const sum = (of: (row: ProfileRow) => number): number => kernels.reduce((total, row) => total + of(row), 0);
  const total = sum((row) => row.time ?? 0);
  const perSecond = (row: ProfileRow, amount: number | null, unit: string): string =>
    row.time === null || row.time === 0 || amount === null ? "-" : scaled((amount * 1e3) / row.time, `${unit}/s`);
  const columns: Column[] = [
    {
      title: "name",
      cell: ({ name }) => (name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 3)}...` : name),
      isText: true,
    },
    ...(devices.length > 1 ? [{ title: "device", cell: (row: ProfileRow) => row.device, isText: true }] : []),
    { title: "phase", cell: (row) => row.phase ?? "-", isText: true },
    { title: "calls", cell: (row) => String(row.calls) },
    { title: "time", cell: (row) => milliseconds(row.time) },
    {
      title: "time %",
      cell: (row) => percent(row.kind === "kernel" && row.time !== null && total > 0 ? row.time / total : null),
    },
    { title: "time avg", cell: (row) => milliseconds(row.time === null ? null : row.time / row.calls) },
    { title: "bytes", cell: (row) => scaled(row.bytes, "B") },
    { title: "bytes/s", cell: (row) => perSecond(row, row.bytes, "B") },
    { title: "flop/s", cell: (row) => perSecond(row, row.flops, "flop") },
    { title: "roofline", cell: (row) => percent(row.share) },
  ];
  const cells = [columns.map((c) => c.title), ...rows.map((row) => columns.map((c) => c.cell(row)))];
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => line[i]!.length)));
  const line = (texts: readonly string[]): string =>
    texts
      .map((text, i) => (columns[i]!.isText === true ? text.padEnd(widths[i]!) : text.padStart(widths[i]!)))
      .join("  ")
      .trimEnd();
  const rule = widths.map((width) => "-".repeat(width)).join("  ");
  const moved = rows.filter(({ kind }) => kind === "upload" || kind === "read");
  const transferred = moved.reduce((bytes, row) => bytes + row.bytes, 0);
  const isTimed = kernels.some((row) => row.time !== null);
  return [
    line(cells[0]!),
    rule,
    ...cells.slice(1).map(line),
    rule,
    `kernels: ${sum((row) => row.calls)} calls, ${isTimed ? milliseconds(total) : "no times"}, ${scaled(
      sum((row) => row.bytes),
      "B",
    )}; between host and devices: ${scaled(transferred, "B")}; wall time: ${milliseconds(wallMs)}`,
    ...devices.map(describeDevice),
  ].join("\n");
}

function describeDevice({ type, description, isTimed, ceiling }: ProfiledDevice): string {
  const most =
    ceiling === null ? "no ceiling" : `copies ${scaled(ceiling.bandwidth, "B/s")}, ${scaled(ceiling.flops, "flop/s")}`;
  const note = isTimed ? "" : type === "webgpu" ? "; no times: it has no timestamp-query" : "; no times";
  return `${type}: ${description}: ${most}${note}`;
}
