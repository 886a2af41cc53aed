/** The devices of this program, and the one on which new tensors are made. */

import type { Backend, DeviceType } from "../backend/backend.ts";
import { DeviceError } from "../errors.ts";

const makers = new Map<DeviceType, () => Backend>();
const backends = new Map<DeviceType, Backend>();
let current: Backend | null = null;

/** Makes a kind of device available on demand; the CPU registers itself so. */
export function registerBackend(type: DeviceType, make: () => Backend): void {
  makers.set(type, make);
}

/** Puts a device in the place of the one of its kind, if any. */
export function setBackend(backend: Backend): void {
  backends.set(backend.type, backend);
}

/** The device of a kind. Throws a `DeviceError` if there is none yet. */
export function backendOf(type: string): Backend {
  const known = backends.get(type as DeviceType);
  if (known !== undefined) return known;
  const make = makers.get(type as DeviceType);
  if (make === undefined)
    throw new DeviceError(
      type === "webgpu"
        ? 'device "webgpu" is not initialised: call await tg.init({ device: "webgpu" }) first'
        : `unknown device "${type}"; known are "cpu" and "webgpu"`,
    );
  const backend = make();
  backends.set(type as DeviceType, backend);
  return backend;
}

/** The device of new tensors: that of the last `init`, the CPU before it. */
export function defaultBackend(): Backend {
  current ??= backendOf("cpu");
  return current;
}

/** Makes a device the one of new tensors. */
export function setDefaultBackend(backend: Backend): void {
  current = backend;
}

/** Forgets a device that is no longer usable; new tensors go to the CPU if it was the default. */
export function forgetBackend(backend: Backend): void {
  if (backends.get(backend.type) === backend) backends.delete(backend.type);
  if (current === backend) current = null;
}

/** Devices in use. */
export function activeBackends(): Backend[] {
  return [...backends.values()];
}
