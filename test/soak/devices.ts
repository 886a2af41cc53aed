/** Devices of the soak: real ones whose memory can be taken away, and which can end. */

import { WebGpuBackend } from "../../src/backend/webgpu/backend.ts";
import { findDevice } from "../../src/backend/webgpu/device.ts";
import type { Backend } from "../../src/backend/backend.ts";
import { addBackend, endBackend, lossOf, setBackend } from "../../src/graph/devices.ts";
import { residencyOf } from "../../src/graph/runtime.ts";
import { NO_DAWN_ADAPTER } from "../../scripts/support/environment.ts";
import { FaultyCpu, faultyDevice, type FaultPlan } from "../support/faulty.ts";
import type { TestDevice } from "../support/portable.ts";

/** A device, and how to harm it. */
export interface SoakDevice {
  readonly kind: TestDevice;
  readonly backend: Backend;
  readonly plan: { -readonly [K in keyof FaultPlan]: FaultPlan[K] };
  /** Ends it as a driver would; null where that cannot be. */
  readonly end: (() => void) | null;
  /** Bytes that nothing of the soak holds. */
  readonly baseline: number;
}

/** Bytes that state and running work need on a device. */
export function liveBytes({ backend }: SoakDevice): number {
  return backend.memory().usedBytes - residencyOf(backend).figures().cachedBytes;
}

/** True once a device is gone. */
export function isGone({ backend }: SoakDevice): boolean {
  return lossOf(backend) !== null;
}

async function open(kind: TestDevice): Promise<SoakDevice> {
  const plan = {};
  if (kind === "cpu") {
    const backend = new FaultyCpu(plan);
    setBackend(backend);
    return { kind, backend, plan, end: null, baseline: 0 };
  }
  const found = await findDevice();
  if ("reason" in found) throw new Error(`${found.reason}. ${NO_DAWN_ADAPTER}`);
  const backend = new WebGpuBackend({ ...found, device: faultyDevice(found.device, plan) }, {});
  addBackend(backend);
  return { kind, backend, plan, end: () => found.device.destroy(), baseline: 0 };
}

/** Devices that are kept from round to round, so that their kernels are compiled once; one that ended is replaced. */
export class Devices {
  #open: SoakDevice[] = [];

  /** Devices that are there now. */
  get all(): readonly SoakDevice[] {
    this.#open = this.#open.filter((device) => !isGone(device));
    return this.#open;
  }

  /** A device that is none of `others`. */
  async take(kind: TestDevice, others: readonly SoakDevice[] = []): Promise<SoakDevice> {
    const known = this.all.find((d) => d.kind === kind && (kind === "cpu" || !others.includes(d)));
    if (known !== undefined) return known;
    const device = await open(kind);
    this.#open.push(device);
    return device;
  }

  /** Ends them all. */
  close(): void {
    for (const { kind, backend } of this.all) if (kind === "webgpu") endBackend(backend);
  }
}
