/** The GPU under all subjects: one entry point for everyone, counters of dispatches, and time by timestamp queries. */

import type { GpuClock } from "../measure.ts";

/** Timestamps of one device. */
interface Stamps {
  readonly device: GPUDevice;
  readonly sets: GPUQuerySet[];
  used: number;
}

const SET_SIZE = 2048;

interface Counters {
  active: boolean;
  dispatches: number;
  submissions: number;
  readonly stamps: Map<GPUDevice, Stamps>;
}

/** Object whose methods are replaced. */
type Methods = Record<string, (...args: never[]) => unknown>;

function replace<A extends unknown[], R>(
  prototype: object,
  name: string,
  make: (original: (this: unknown, ...args: A) => R) => (this: never, ...args: A) => R,
): void {
  const methods = prototype as Methods;
  const original = methods[name] as unknown as (this: unknown, ...args: A) => R;
  Object.defineProperty(prototype, name, { value: make(original), configurable: true, writable: true });
}

/** Where a pass writes its timestamps; null where the device has none. */
function nextStamp(counters: Counters, device: GPUDevice | undefined): GPUComputePassTimestampWrites | null {
  if (device === undefined || !device.features.has("timestamp-query")) return null;
  let stamps = counters.stamps.get(device);
  if (stamps === undefined) {
    stamps = { device, sets: [], used: 0 };
    counters.stamps.set(device, stamps);
  }
  const index = stamps.used % SET_SIZE;
  const set = Math.floor(stamps.used / SET_SIZE);
  if (stamps.sets.length <= set) stamps.sets.push(device.createQuerySet({ type: "timestamp", count: SET_SIZE }));
  stamps.used += 2;
  return { querySet: stamps.sets[set]!, beginningOfPassWriteIndex: index, endOfPassWriteIndex: index + 1 };
}

/** Seconds in all passes of a device; its timestamps are given up. */
async function readStamps({ device, sets, used }: Stamps): Promise<number> {
  let nanoseconds = 0n;
  for (const [i, set] of sets.entries()) {
    const count = Math.min(SET_SIZE, used - i * SET_SIZE);
    const resolved = device.createBuffer({
      size: 8 * count,
      usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    });
    const staging = device.createBuffer({ size: 8 * count, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    const encoder = device.createCommandEncoder();
    encoder.resolveQuerySet(set, 0, count, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, staging, 0, 8 * count);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const values = new BigUint64Array(staging.getMappedRange());
    for (let k = 0; k < count; k += 2) nanoseconds += values[k + 1]! - values[k]!;
    staging.destroy();
    resolved.destroy();
    set.destroy();
  }
  return Number(nanoseconds) / 1e9;
}

/**
 * Watches every device that will be made: compute passes get timestamps while the clock runs, dispatches and submissions are
 * counted. Works on the prototypes, so that libraries need not take part.
 */
export async function installGpuClock(gpu: GPU): Promise<GpuClock> {
  const counters: Counters = { active: false, dispatches: 0, submissions: 0, stamps: new Map() };
  const deviceOf = new WeakMap<object, GPUDevice>();
  const adapter = await gpu.requestAdapter();
  if (adapter === null) throw new Error("no GPU adapter");
  replace(
    Object.getPrototypeOf(adapter) as object,
    "requestDevice",
    (original: (this: unknown, d?: GPUDeviceDescriptor) => Promise<GPUDevice>) =>
      function (this: GPUAdapter, descriptor: GPUDeviceDescriptor = {}) {
        const wanted = new Set<GPUFeatureName>(descriptor.requiredFeatures ?? []);
        if (this.features.has("timestamp-query")) wanted.add("timestamp-query");
        return original.call(this, { ...descriptor, requiredFeatures: [...wanted] });
      },
  );
  const probe = await adapter.requestDevice();
  const encoder = probe.createCommandEncoder();
  const pass = encoder.beginComputePass();
  replace(
    Object.getPrototypeOf(probe) as object,
    "createCommandEncoder",
    (original: (this: unknown, d?: GPUCommandEncoderDescriptor) => GPUCommandEncoder) =>
      function (this: GPUDevice, descriptor?: GPUCommandEncoderDescriptor) {
        const made = original.call(this, descriptor);
        if (counters.active) deviceOf.set(made, this);
        return made;
      },
  );
  replace(
    Object.getPrototypeOf(encoder) as object,
    "beginComputePass",
    (original: (this: unknown, d?: GPUComputePassDescriptor) => GPUComputePassEncoder) =>
      function (this: GPUCommandEncoder, descriptor?: GPUComputePassDescriptor) {
        if (!counters.active || descriptor?.timestampWrites !== undefined) return original.call(this, descriptor);
        const timestampWrites = nextStamp(counters, deviceOf.get(this));
        return original.call(this, timestampWrites === null ? descriptor : { ...descriptor, timestampWrites });
      },
  );
  for (const name of ["dispatchWorkgroups", "dispatchWorkgroupsIndirect"])
    replace(
      Object.getPrototypeOf(pass) as object,
      name,
      (original: (this: unknown, ...args: unknown[]) => void) =>
        function (this: GPUComputePassEncoder, ...args: unknown[]) {
          counters.dispatches++;
          original.call(this, ...args);
        },
    );
  replace(
    Object.getPrototypeOf(probe.queue) as object,
    "submit",
    (original: (this: unknown, buffers: Iterable<GPUCommandBuffer>) => void) =>
      function (this: GPUQueue, buffers: Iterable<GPUCommandBuffer>) {
        counters.submissions++;
        original.call(this, buffers);
      },
  );
  pass.end();
  encoder.finish();
  probe.destroy();
  return {
    start() {
      counters.active = true;
      counters.dispatches = 0;
      counters.submissions = 0;
    },
    async stop() {
      counters.active = false;
      const { dispatches, submissions } = counters;
      let seconds: number | null = counters.stamps.size === 0 ? null : 0;
      for (const stamps of counters.stamps.values()) seconds! += await readStamps(stamps);
      counters.stamps.clear();
      return { seconds, dispatches, submissions };
    },
  };
}
