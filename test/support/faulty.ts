/** A GPUDevice that has no memory, or refuses work, when a plan says so; everything else is a real device's. */

/** Answers when something is about to be done. */
export interface FaultPlan {
  /** True if a buffer of so many bytes shall not get memory. */
  noMemory?(bytes: number, usage: number): boolean;
  /** True if a transfer to the device shall find no memory. */
  noTransfer?(bytes: number): boolean;
  /** True if a submission shall be refused. */
  refuses?(): boolean;
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
          if (plan.noMemory?.(descriptor.size, descriptor.usage) !== true) return target.createBuffer(descriptor);
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
