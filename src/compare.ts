/** Running a program ahead of time, and on two devices to compare them. */

import { describeValue } from "./args.ts";
import { observeBackward } from "./autograd/engine.ts";
import { withMode } from "./autograd/mode.ts";
import { observeForward } from "./autograd/tape.ts";
import type { DType } from "./dtype.ts";
import { ArgumentError, DeviceError } from "./errors.ts";
import { activeBackends, backendOf, defaultBackend, setDefaultBackend } from "./graph/devices.ts";
import { sameShape, showShape } from "./graph/view.ts";
import { synchronize } from "./init.ts";
import { isTensor, snapshot } from "./ops/apply.ts";
import { getRngState, setRngState } from "./random.ts";
import { readAll, type Tensor, type TensorData } from "./tensor.ts";

function checkFunction(name: string, fn: unknown): void {
  if (typeof fn !== "function") throw new ArgumentError(`${name}: expected a function, got ${describeValue(fn)}`);
}

/**
 * Runs `fn`, which may be asynchronous, and waits for everything that it recorded, so that shaders and plans are compiled when the same work comes
 * again. Random numbers go on afterwards as if it had not run. What it changes otherwise stays changed (gradients, parameters, running
 * statistics): warm up with a forward and backward pass and `zeroGrad()`, or with a model that is loaded afterwards. Tensors that it returns,
 * alone or in an array, are computed, too.
 *
 * On a hardware GPU it then measures the kernels that can be run in several ways (tiles of products, convolutions and attention; ways of walking the rows of reductions), each
 * some milliseconds long on memory of its own, and from there on the fastest run. Without a warmup, and with `useDeterministicAlgorithms(true)`, fixed rules choose. `kernelChoices`
 * gives what was found.
 */
export async function warmup(fn: () => unknown): Promise<void> {
  checkFunction("warmup", fn);
  const state = getRngState();
  const listening = activeBackends().flatMap((backend) => backend.listenForChoices?.() ?? []);
  let measures = false;
  try {
    const result = await fn();
    const returned = tensorsOf(result);
    if (returned.length > 0) await readAll(returned);
    await synchronize();
    measures = true;
  } finally {
    setRngState(state);
    for (const finish of listening) await finish(measures);
  }
}

/** How far the two devices are apart in one value. */
export interface DeviceDifference {
  /** The entry of the tape, as in `gradFn.name`; `"result"` for what the function returned. */
  readonly name: string;
  /** Whether it is a result of the operation, a gradient that its derivative gave, or what the function returned. */
  readonly kind: "forward" | "backward" | "result";
  /** Sizes of the value. */
  readonly shape: readonly number[];
  /** Its element type. */
  readonly dtype: DType;
  /** Largest difference of two elements; Infinity where one alone is NaN or they are different infinities. */
  readonly difference: number;
  /** The same as a share of the largest finite element of the CPU's value (0 where both are all zeros). */
  readonly relative: number;
}

/** What `compareDevices` found. */
export interface DeviceComparison {
  /** All values that were compared, in the order in which they came up. */
  readonly rows: readonly DeviceDifference[];
  /** The row with the largest relative difference; null if nothing was compared. */
  readonly largest: DeviceDifference | null;
  /** A table of the rows. */
  toString(): string;
}

interface Seen {
  readonly name: string;
  readonly kind: DeviceDifference["kind"];
  readonly tensor: Tensor;
}
interface Run {
  readonly seen: readonly Seen[];
  readonly values: readonly TensorData[];
}

/**
 * Runs `fn` on the CPU and on the WebGPU device, from the same state of the random numbers, and compares operation by operation: the floating results
 * of those on the tape, the gradients that their derivatives give, and the tensors that `fn` returns (one or an array). `fn` has to
 * make its tensors itself, with no device named, and to do the same each time; differences of one operation carry on into those behind it. Slow: every value is
 * kept and read. The random numbers go on as after one run. Throws a `DeviceError` if `init()` has found no WebGPU device, an `ArgumentError` if the two runs did different things.
 */
export async function compareDevices(fn: () => unknown): Promise<DeviceComparison> {
  checkFunction("compareDevices", fn);
  if (!activeBackends().some((b) => b.type === "webgpu"))
    throw new DeviceError(
      'compareDevices: there is no WebGPU device to compare the CPU with: call await tg.init({ device: "webgpu" }) first',
    );
  const before = defaultBackend();
  const gpu = before.type === "webgpu" ? before : backendOf("webgpu");
  const state = getRngState();
  try {
    setDefaultBackend(backendOf("cpu"));
    const cpu = await observe(fn);
    setRngState(state);
    setDefaultBackend(gpu);
    return compared(cpu, await observe(fn));
  } finally {
    setDefaultBackend(before);
  }
}

/** Runs the function and reads what came up. */
async function observe(fn: () => unknown): Promise<Run> {
  const seen: Seen[] = [];
  const see = (name: string, kind: Seen["kind"], tensor: Tensor): void => {
    // As it is now: it may be overwritten, or what it was computed from.
    const value = withMode({ grad: false }, () => snapshot(tensor.detach()));
    seen.push({ name, kind, tensor: value.retain() });
  };
  const forwardBefore = observeForward((out, fn) => see(fn.name, "forward", out));
  const stop = observeBackward((entry, grads) => {
    for (const g of grads) if (g != null) see(entry.name, "backward", g);
  });
  try {
    const result = await fn();
    for (const t of tensorsOf(result)) see("result", "result", t);
  } finally {
    stop();
    observeForward(forwardBefore);
  }
  const values = await readAll(seen.map(({ tensor }) => tensor));
  for (const { tensor } of seen) tensor.impl.storage.release();
  return { seen, values };
}

function tensorsOf(result: unknown): Tensor[] {
  if (isTensor(result)) return [result];
  return Array.isArray(result) ? result.filter(isTensor) : [];
}

function compared(cpu: Run, gpu: Run): DeviceComparison {
  const differ = (what: string): ArgumentError =>
    new ArgumentError(`compareDevices: the function did different things on the two devices: ${what}`);
  if (cpu.seen.length !== gpu.seen.length)
    throw differ(`${cpu.seen.length} values on the CPU and ${gpu.seen.length} on WebGPU`);
  const rows = cpu.seen.map(({ name, kind, tensor }, i): DeviceDifference => {
    const other = gpu.seen[i]!;
    if (other.name !== name || !sameShape(other.tensor.shape, tensor.shape) || other.tensor.dtype !== tensor.dtype)
      throw differ(
        `value ${i} is ${name} ${showShape(tensor.shape)} ${tensor.dtype} on the CPU and ` +
          `${other.name} ${showShape(other.tensor.shape)} ${other.tensor.dtype} on WebGPU`,
      );
    return { name, kind, shape: [...tensor.shape], dtype: tensor.dtype, ...distance(cpu.values[i]!, gpu.values[i]!) };
  });
  const largest = rows.reduce<DeviceDifference | null>(
    (most, row) => (most === null || row.relative > most.relative ? row : most),
    null,
  );
  return { rows, largest, toString: () => table(rows) };
}

function distance(reference: TensorData, other: TensorData): { difference: number; relative: number } {
  let difference = 0;
  let size = 0;
  for (let i = 0; i < reference.length; i++) {
    const [x, y] = [reference[i]!, other[i]!];
    if (Number.isFinite(x)) size = Math.max(size, Math.abs(x));
    if (Object.is(x, y) || x === y) continue;
    const apart = Math.abs(x - y);
    difference = Math.max(difference, Number.isNaN(apart) ? Infinity : apart);
  }
  return { difference, relative: difference === 0 ? 0 : difference / size };
}

function table(rows: readonly DeviceDifference[]): string {
  const cells = rows.map((r) => [
    r.name,
    r.kind,
    showShape(r.shape),
    r.dtype,
    r.difference.toExponential(2),
    r.relative.toExponential(2),
  ]);
  const all = [["operation", "kind", "shape", "dtype", "difference", "relative"], ...cells];
  const widths = all[0]!.map((_, c) => Math.max(...all.map((row) => row[c]!.length)));
  return all
    .map((row) =>
      row
        .map((cell, c) => cell.padEnd(widths[c]!))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
