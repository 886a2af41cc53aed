/** Choosing the device of new tensors, and what the program says of its devices. */

import type { Backend, DeviceType } from "./backend/backend.ts";
import { CpuBackend } from "./backend/cpu/backend.ts";
import { NullBackend } from "./backend/null.ts";
import { WebGpuBackend } from "./backend/webgpu/backend.ts";
import { findDevice, type GpuDeviceLike, type GpuLike, type WebGpuOptions } from "./backend/webgpu/device.ts";
import { applyOptions, describeValue } from "./args.ts";
import { ArgumentError, DeviceError, type DeviceLostReason } from "./errors.ts";
import {
  activeBackends,
  addBackend,
  backendOf,
  defaultBackend,
  endBackend,
  listenForLoss,
  lossOf,
  registerBackend,
  setDefaultBackend,
} from "./graph/devices.ts";
import type { LiveValue } from "./graph/figures.ts";
import { finishRecorded, residencyOf, setBudget, valuesOf } from "./graph/runtime.ts";

registerBackend("cpu", () => new CpuBackend());
registerBackend("null", () => new NullBackend({ recordsCalls: false }));

/** What `init()` may be told. */
export interface InitOptions {
  /** `"auto"` (default): a hardware GPU if there is one, else the CPU. `"webgpu"`: any adapter, or an error. `"cpu"`. */
  readonly device?: "auto" | "webgpu" | "cpu" | undefined;
  /** A `GPU` to ask for an adapter, or a `GPUDevice` to use. */
  readonly gpu?: GpuLike | GpuDeviceLike | undefined;
  /** Which adapter to prefer where there are several. */
  readonly powerPreference?: "high-performance" | "low-power" | undefined;
  /** Limits by name to keep to where they are lower than the adapter's. */
  readonly limits?: Readonly<Record<string, number>> | undefined;
  /** Optional GPU features not to use, by name. */
  readonly without?: readonly string[] | undefined;
  /** Whether `warmup()` measures ways of running kernels and takes the fastest; by default on hardware GPUs only. */
  readonly autotune?: boolean | undefined;
  /**
   * Threads that share large kernels on the CPU, the caller's included; by default as many as the machine has. It is 1 where memory cannot be
   * shared with workers, as in a page without cross-origin isolation. Results do not depend on it.
   */
  readonly threads?: number | undefined;
}

const OPTION_NAMES = ["device", "gpu", "powerPreference", "limits", "without", "autotune", "threads"];

/** The CPU, made the device of new tensors. */
function useCpu(): Backend {
  const cpu = backendOf("cpu");
  setDefaultBackend(cpu);
  return cpu;
}

/** The device that new tensors are made on. */
export interface DeviceInfo {
  /** `"webgpu"` or `"cpu"`. */
  readonly type: DeviceType;
  /** Adapter or engine, for people. */
  readonly description: string;
  /** True if a GPU interface is emulated on the CPU. */
  readonly isSoftware: boolean;
  /** Why this device was taken, or why the GPU was not. */
  readonly reason: string;
}

function infoOf(backend: Backend, reason: string): DeviceInfo {
  return { type: backend.type, description: backend.description, isSoftware: backend.isSoftware, reason };
}

/** Calls of `init` are done one after the other, so that the last one decides. */
let turn: Promise<unknown> = Promise.resolve();
/** How often `destroy` was called. */
let endings = 0;

/** The GPU device that `init` made last, and for which options. */
let made: { readonly backend: WebGpuBackend; readonly options: InitOptions } | null = null;

/** True if two calls of `init` ask for the same GPU device. */
function asksForSame(a: InitOptions, b: InitOptions): boolean {
  const numbers = ({ limits = {} }: InitOptions): string =>
    JSON.stringify(Object.entries(limits).toSorted(([x], [y]) => (x < y ? -1 : 1)));
  const names = ({ without = [] }: InitOptions): string => [...without].toSorted().join();
  return (
    a.gpu === b.gpu &&
    a.powerPreference === b.powerPreference &&
    a.autotune === b.autotune &&
    numbers(a) === numbers(b) &&
    names(a) === names(b)
  );
}

/**
 * Chooses the device of new tensors. Throws a `DeviceError` with the reason if `device: "webgpu"` is asked for and there
 * is none; `"auto"` falls back to the CPU and says why.
 *
 * Called again with the same options, it keeps to the GPU device that it made before, unless that one was lost or destroyed. Other options make
 * another device; tensors of the one before stay usable, on it. Of several calls at the same time, the last one decides.
 */
export function init(options: InitOptions = {}): Promise<DeviceInfo> {
  const before = endings;
  const result = turn.then(() => choose(options, before));
  turn = result.catch(() => undefined);
  return result;
}

async function choose(options: InitOptions, endingsBefore: number): Promise<DeviceInfo> {
  const known: { device?: unknown } = {};
  applyOptions("init", OPTION_NAMES, {}, options as Record<string, unknown>, known);
  const device = options.device ?? "auto";
  if (device !== "auto" && device !== "webgpu" && device !== "cpu")
    throw new ArgumentError(`init: device must be "auto", "webgpu" or "cpu", got ${JSON.stringify(device)}`);
  const { threads, autotune } = options;
  if (autotune !== undefined && typeof autotune !== "boolean")
    throw new ArgumentError(`init: autotune must be true or false, got ${describeValue(autotune)}`);
  if (threads !== undefined) {
    if (!Number.isInteger(threads) || threads < 1)
      throw new ArgumentError(`init: threads must be a whole number from 1 on, got ${describeValue(threads)}`);
    const cpu = backendOf("cpu");
    if (cpu instanceof CpuBackend) cpu.setThreads(threads);
  }
  if (device === "cpu") return infoOf(useCpu(), "the CPU was asked for");
  const reason = device === "webgpu" ? "WebGPU was asked for" : "a hardware WebGPU adapter is present";
  const mayUse = (isSoftware: boolean): boolean => device === "webgpu" || !isSoftware || options.gpu !== undefined;
  if (made !== null && lossOf(made.backend) === null && asksForSame(made.options, options)) {
    if (mayUse(made.backend.isSoftware)) {
      addBackend(made.backend);
      setDefaultBackend(made.backend);
      return infoOf(made.backend, reason);
    }
  }
  const found = await findDevice(options satisfies WebGpuOptions);
  if (endings !== endingsBefore) {
    if ("device" in found && found.owned) found.device.destroy();
    throw new DeviceError("init: destroy() was called before a device was found. Call init() again.");
  }
  if ("reason" in found) {
    if (device === "webgpu")
      throw new DeviceError(
        `init: no WebGPU device: ${found.reason}. Use { device: "auto" } or { device: "cpu" } to go on without one.`,
      );
    return infoOf(useCpu(), `no WebGPU device: ${found.reason}`);
  }
  if (!mayUse(found.isSoftware)) {
    if (found.owned) found.device.destroy();
    return infoOf(
      useCpu(),
      `the only WebGPU adapter (${found.description}) is emulated in software, which is slower than the CPU backend`,
    );
  }
  const backend = new WebGpuBackend(found, { limits: options.limits, autotune });
  made = { backend, options };
  addBackend(backend);
  setDefaultBackend(backend);
  return infoOf(backend, reason);
}

/** The device that new tensors are made on now. */
export function currentDevice(): DeviceInfo {
  return infoOf(defaultBackend(), "in use");
}

/** Realises what is pending on every device, then waits until all of it is done. Rejects with a device's error. */
export async function synchronize(): Promise<void> {
  const waiting = activeBackends().map(finishRecorded);
  const loss = lossOf(defaultBackend());
  if (loss !== null) waiting.unshift(Promise.reject(loss));
  const outcomes = await Promise.allSettled(waiting);
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}

/**
 * Ends every GPU device, so that a program can exit cleanly: what is pending there rejects with a `DeviceLostError`, and of its tensors only values that the
 * host knows can still be read. A `GPUDevice` that was given to `init` goes on. On the CPU tensors stay; free memory is given back and worker threads
 * end (the next large kernel starts them again). May be called at any time and more than once; `init()` begins anew.
 */
export function destroy(): void {
  endings++;
  made = null;
  for (const backend of activeBackends())
    if (backend.type !== "cpu") endBackend(backend);
    else {
      backend.trim(0);
      if (backend instanceof CpuBackend) backend.stopThreads();
    }
}

/** What `onDeviceLost` tells. */
export interface DeviceLoss {
  /** The device that went away. */
  readonly device: {
    /** Kind of the device. */
    readonly type: DeviceType;
    /** Adapter, for people. */
    readonly description: string;
  };
  /** `"destroyed"` if it was ended by `destroy()` or by `GPUDevice.destroy()`, else `"unknown"`. */
  readonly reason: DeviceLostReason;
  /** What is known about it. */
  readonly message: string;
}

/**
 * Calls `callback` whenever a GPU device goes away: by itself, by `GPUDevice.destroy()`, or by `destroy()`. Reads that were pending reject with a `DeviceLostError`
 * by themselves. Gives a function that ends the subscription.
 */
export function onDeviceLost(callback: (loss: DeviceLoss) => void): () => void {
  if (typeof callback !== "function")
    throw new ArgumentError(`onDeviceLost: expected a function, got ${typeof callback}`);
  return listenForLoss((backend, { reason, message }) =>
    callback({ device: { type: backend.type, description: backend.description }, reason, message }),
  );
}

/** Figures of memory over all devices; bytes. */
export interface MemoryInfo {
  /** Values in device memory. */
  readonly tensors: number;
  /** Pieces of device memory in use. */
  readonly buffers: number;
  /** What state (parameters, optimiser state, gradients, what was written in place), running work and `retain()` need. */
  readonly liveBytes: number;
  /** In use, but free to go at any time: device copies of host data, values that can be computed again or moved to the host. */
  readonly cachedBytes: number;
  /** Bytes of free buffers that are kept for reuse. */
  readonly pooledBytes: number;
  /** How many free buffers are kept. */
  readonly pooledBuffers: number;
  /** The most that live, cached and pooled bytes were together since the start or the last `resetPeakMemory()`. */
  readonly peakBytes: number;
}

/** Device memory in use and kept for reuse, summed over devices (on the CPU: the memory of its values). */
export function memory(): MemoryInfo {
  const sum = { tensors: 0, buffers: 0, liveBytes: 0, cachedBytes: 0, pooledBytes: 0, pooledBuffers: 0, peakBytes: 0 };
  for (const backend of activeBackends()) {
    const { values, cachedBytes } = residencyOf(backend).figures();
    const { usedBuffers, usedBytes, pooledBuffers, pooledBytes, peakBytes } = backend.memory();
    sum.tensors += values;
    sum.buffers += usedBuffers;
    sum.liveBytes += usedBytes - cachedBytes;
    sum.cachedBytes += cachedBytes;
    sum.pooledBytes += pooledBytes;
    sum.pooledBuffers += pooledBuffers;
    sum.peakBytes += peakBytes;
  }
  return sum;
}

/** A value of `memorySnapshot()`. */
export interface MemoryValue extends LiveValue {
  /** `"webgpu"` or `"cpu"`. */
  readonly device: DeviceType;
}

/**
 * Every value that has device memory, the largest first, with what it is to you and, if `setDebugMode(true)` came before, the line that made it. The
 * bytes of all but the `pending` ones add up to the live and cached bytes of `memory()`.
 */
export function memorySnapshot(): MemoryValue[] {
  return activeBackends()
    .flatMap((backend) => valuesOf(backend).map((value) => ({ device: backend.type, ...value })))
    .sort((a, b) => b.bytes - a.bytes);
}

/** Starts the peak anew from what is in use now. */
export function resetPeakMemory(): void {
  for (const backend of activeBackends()) {
    residencyOf(backend).resetRequired();
    backend.resetPeakMemory();
  }
}

/**
 * Sets the bytes that a device's memory should keep to (of every device, also of one made later); null leaves it to what the program needs.
 * Beyond it caches go first, then values that may be held move to the host; what is needed at once is never refused.
 */
export function setMemoryBudget(bytes: number | null): void {
  if (bytes !== null && !(bytes >= 0))
    throw new ArgumentError(`setMemoryBudget: expected bytes of at least 0 or null, got ${describeValue(bytes)}`);
  setBudget(bytes);
}
