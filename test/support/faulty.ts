/** Devices that have no memory, or refuse work, when a plan says so; everything else is a real device's. */

import { CpuBackend, type CpuOptions } from "../../src/backend/cpu/backend.ts";
import type { DeviceBuffer, Label } from "../../src/backend/backend.ts";
import { OutOfMemoryError } from "../../src/errors.ts";

/** Answers when something is about to be done. */
export interface FaultPlan {
  /** True if a buffer of so many bytes shall not get memory. */
  noMemory?(bytes: number, usage: number): boolean;
  /** True if a transfer to the device shall find no memory. */
  noTransfer?(bytes: number): boolean;
  /** True if a submission shall be refused. */
  refuses?(): boolean;
  /** Bytes that all buffers together can have. */
  memoryBytes?: number;
}

/** The CPU with as little memory as a plan says. */
export class FaultyCpu extends CpuBackend {
  readonly #plan: FaultPlan;

  constructor(plan: FaultPlan, options: CpuOptions = { threads: 1 }) {
    super(options);
    this.#plan = plan;
  }

  override allocate(bytes: number, label: Label | null = null): DeviceBuffer {
    const { noMemory, memoryBytes = Infinity } = this.#plan;
    const { usedBytes, pooledBytes } = this.memory();
    const size = this.allocationBytes(bytes);
    if (noMemory?.(bytes, 0) !== true && usedBytes + size <= memoryBytes) return super.allocate(bytes, label);
    const figures = { asked: bytes, live: usedBytes, pooled: pooledBytes };
    throw new OutOfMemoryError(typeof label === "function" ? label() : label, "CPU", figures);
  }
}

interface Scope {
  readonly filter: GPUErrorFilter;
  message: string | null;
}

/** What an error scope gives for a fault. */
const errorOf = (message: string): GPUError => ({ message });

/** Wraps a device. What got no memory is a buffer that validation refuses, as WebGPU has it. */
export function faultyDevice(device: GPUDevice, plan: FaultPlan): GPUDevice {
  const scopes: Scope[] = [];
  const fault = (filter: GPUErrorFilter, message: string): void => {
    const scope = scopes.findLast((s) => s.filter === filter);
    if (scope === undefined) throw new Error(`a fault (${message}) outside of an error scope`);
    scope.message ??= message;
  };
  const sizes = new WeakMap<GPUBuffer, number>();
  let total = 0;
  const counted = (buffer: GPUBuffer): GPUBuffer => {
    sizes.set(buffer, buffer.size);
    total += buffer.size;
    const destroy = buffer.destroy.bind(buffer);
    buffer.destroy = () => {
      total -= sizes.get(buffer) ?? 0;
      sizes.delete(buffer);
      destroy();
    };
    return buffer;
  };
  const invalidBuffer = (size: number): GPUBuffer => {
    device.pushErrorScope("validation");
    const buffer = device.createBuffer({ size, usage: 0x1 | 0x2 });
    void device.popErrorScope().catch(() => null);
    return buffer;
  };
  const queue = new Proxy(device.queue, {
    get(target, name) {
      if (name === "writeBuffer")
        return (...args: Parameters<GPUQueue["writeBuffer"]>): void => {
          const bytes = args[4] ?? 0;
          if (plan.noTransfer?.(bytes) === true) fault("out-of-memory", "no memory for a transfer");
          else target.writeBuffer(...args);
        };
      if (name === "submit")
        return (commands: GPUCommandBuffer[]): void => {
          if (plan.refuses?.() === true) fault("validation", "work refused");
          else target.submit(commands);
        };
      return bound(target, name);
    },
  });
  return new Proxy(device, {
    get(target, name) {
      if (name === "queue") return queue;
      if (name === "createBuffer")
        return (descriptor: GPUBufferDescriptor): GPUBuffer => {
          const isFull = total + descriptor.size > (plan.memoryBytes ?? Infinity);
          if (plan.noMemory?.(descriptor.size, descriptor.usage) !== true && !isFull)
            return counted(target.createBuffer(descriptor));
          fault("out-of-memory", "no memory");
          return invalidBuffer(descriptor.size);
        };
      if (name === "pushErrorScope")
        return (filter: GPUErrorFilter): void => {
          scopes.push({ filter, message: null });
          target.pushErrorScope(filter);
        };
      if (name === "popErrorScope")
        return async (): Promise<GPUError | null> => {
          const { message } = scopes.pop()!;
          const real = await target.popErrorScope();
          return message === null ? real : errorOf(message);
        };
      return bound(target, name);
    },
  });
}

function bound(target: object, name: string | symbol): unknown {
  const value: unknown = Reflect.get(target, name, target);
  return typeof value === "function" ? (value.bind(target) as unknown) : value;
}
