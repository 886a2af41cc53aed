/** A device that computes on the CPU, is read like a GPU, and ends when it is told to. */

import type {
  Backend,
  BackendLimits,
  BackendMemory,
  Call,
  DeviceBuffer,
  Program,
  ReadRequest,
  ReadResult,
} from "../../src/backend/backend.ts";
import { CpuBackend } from "../../src/backend/cpu/backend.ts";
import { hostArray, type DType, type HostArray } from "../../src/dtype.ts";
import { DeviceLostError, type DeviceLostReason } from "../../src/errors.ts";
import type { KernelStructure } from "../../src/graph/kernel.ts";

/** Counts what is asked of it, and dies at the moment chosen. */
export class MortalBackend implements Backend {
  readonly type = "webgpu";
  readonly description = "a mortal device";
  readonly isSoftware = true;
  readonly limits: BackendLimits;
  readonly numerics: string;
  readonly lost: Promise<DeviceLostError>;
  /** What was asked of it so far. */
  actions = 0;
  /** It ends when this is asked of it; what was asked is not done. */
  dieAt = Infinity;
  readonly #cpu: CpuBackend;
  readonly #buffers = new Set<DeviceBuffer>();
  readonly #rejects = new Set<(error: Error) => void>();
  #resolveLost: (error: DeviceLostError) => void = () => undefined;
  #error: DeviceLostError | null = null;

  constructor() {
    this.#cpu = new CpuBackend({ threads: 1 });
    this.limits = this.#cpu.limits;
    this.numerics = `mortal ${this.#cpu.numerics}`;
    this.lost = new Promise((resolve) => (this.#resolveLost = resolve));
  }

  get isDead(): boolean {
    return this.#error !== null;
  }

  /** Ends. What was in its memory turns to zeros, so that nobody reads it unnoticed. */
  die(reason: DeviceLostReason = "unknown", byItself = true): void {
    if (this.#error !== null) return;
    const error = (this.#error = new DeviceLostError("the mortal device was lost", reason));
    for (const buffer of this.#buffers) this.#cpu.upload(buffer, "uint8", hostArray("uint8", Math.floor(buffer.bytes)));
    for (const reject of this.#rejects) reject(error);
    this.#rejects.clear();
    if (byItself) this.#resolveLost(error);
  }

  #act(): void {
    if (++this.actions === this.dieAt) this.die();
    if (this.#error !== null) throw this.#error;
  }

  supports(dtype: DType): boolean {
    return dtype !== "float64";
  }

  bytesFor(dtype: DType, count: number): number {
    return this.#cpu.bytesFor(dtype, count);
  }

  allocationBytes(bytes: number): number {
    return this.#cpu.allocationBytes(bytes);
  }

  keepWithin(bytes: number): void {
    this.#cpu.keepWithin(bytes);
  }

  allocate(bytes: number): DeviceBuffer {
    this.#act();
    const buffer = this.#cpu.allocate(bytes);
    this.#buffers.add(buffer);
    return buffer;
  }

  release(buffer: DeviceBuffer): void {
    this.#buffers.delete(buffer);
    this.#cpu.release(buffer);
  }

  upload(buffer: DeviceBuffer, dtype: DType, data: HostArray): void {
    this.#act();
    this.#cpu.upload(buffer, dtype, data);
  }

  prepare(structure: KernelStructure): Program {
    this.#act();
    return this.#cpu.prepare(structure);
  }

  run(calls: readonly Call[]): void {
    this.#act();
    this.#cpu.run(calls);
  }

  read(requests: readonly ReadRequest[]): Promise<ReadResult> {
    try {
      this.#act();
    } catch (error) {
      return Promise.reject(error);
    }
    const result = this.#cpu.readSync(requests);
    return this.#later(result);
  }

  synchronize(): Promise<void> {
    try {
      this.#act();
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#later(undefined);
  }

  /** The value at a later turn of the event loop, unless the device ends before. */
  #later<T>(value: T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#rejects.add(reject);
      setTimeout(() => {
        if (this.#rejects.delete(reject)) resolve(value);
      });
    });
  }

  memory(): BackendMemory {
    return this.#cpu.memory();
  }

  resetPeakMemory(): void {
    this.#cpu.resetPeakMemory();
  }

  trim(bytes: number): void {
    this.#cpu.trim(bytes);
  }

  destroy(): void {
    this.die("destroyed", false);
  }
}
