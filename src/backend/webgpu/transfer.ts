/** Between host arrays and device memory: layouts, and the staging buffers that reads go through. */

import type { DType, HostArray } from "../../dtype.ts";
import { hostArray } from "../../dtype.ts";
import { USAGE } from "./pool.ts";

/** Bytes of one element in device memory. */
export function deviceItemSize(dtype: DType): number {
  return dtype === "float16" ? 2 : dtype === "float64" ? 8 : 4;
}

/** Host elements as the words that hold them on the device (the array itself where the layouts agree). */
export function toDevice(dtype: DType, data: HostArray): ArrayBufferView<ArrayBuffer> {
  switch (dtype) {
    case "bool":
    case "uint8":
      return Uint32Array.from(data);
    case "float16": {
      if (data.length % 2 === 0) return data as Uint16Array<ArrayBuffer>;
      const padded = new Uint16Array(data.length + 1);
      padded.set(data);
      return padded;
    }
    default:
      return data as Float32Array<ArrayBuffer>;
  }
}

/** Elements from `offset` (in bytes) of device memory, as a new host array. */
export function fromDevice(dtype: DType, bytes: ArrayBuffer, offset: number, count: number): HostArray {
  switch (dtype) {
    case "bool":
    case "uint8":
      return Uint8Array.from(new Uint32Array(bytes, offset, count));
    case "int32":
      return new Int32Array(bytes, offset, count).slice();
    case "float16":
      return new Uint16Array(bytes, offset, count).slice();
    case "float32":
      return new Float32Array(bytes, offset, count).slice();
    case "float64":
      return hostArray(dtype, count);
  }
}

/** Most bytes of idle staging buffers that are kept. */
const STAGING_BUDGET = 64 * 2 ** 20;

function stagingSize(bytes: number): number {
  return Math.max(4096, 2 ** Math.ceil(Math.log2(bytes)));
}

/** Buffers that the device copies to and the host maps, kept for reuse. */
export class Staging {
  readonly #device: GPUDevice;
  readonly #idle: GPUBuffer[] = [];
  #idleBytes = 0;
  #closed = false;

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** An idle buffer of at least `bytes`, or null. */
  find(bytes: number): GPUBuffer | null {
    const size = stagingSize(bytes);
    const at = this.#idle.findIndex((b) => b.size === size);
    if (at < 0) return null;
    this.#idleBytes -= size;
    return this.#idle.splice(at, 1)[0]!;
  }

  /** A new buffer of at least `bytes`. */
  make(bytes: number): GPUBuffer {
    return this.#device.createBuffer({ size: stagingSize(bytes), usage: USAGE.MAP_READ | USAGE.COPY_DST });
  }

  /** Takes an unmapped buffer back. */
  give(buffer: GPUBuffer): void {
    if (this.#closed || this.#idleBytes + buffer.size > STAGING_BUDGET) {
      buffer.destroy();
      return;
    }
    this.#idle.push(buffer);
    this.#idleBytes += buffer.size;
  }

  /** Destroys idle buffers. */
  clear(): void {
    for (const buffer of this.#idle) buffer.destroy();
    this.#idle.length = 0;
    this.#idleBytes = 0;
  }

  /** Destroys idle buffers now, and those that come back when they do. */
  destroy(): void {
    this.#closed = true;
    this.clear();
  }
}
