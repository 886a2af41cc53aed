/** The devices of this program, the one on which new tensors are made, and what becomes of devices that end. */

import type { Backend, DeviceType } from "../backend/backend.ts";
import { DeviceError, DeviceLostError } from "../errors.ts";

const makers = new Map<DeviceType, () => Backend>();
/** The device of each kind that is used now. */
const backends = new Map<DeviceType, Backend>();
/** Devices whose place another one took, and whose tensors may still be in use. */
const former = new Set<Backend>();
let current: Backend | null = null;

/** Why each device that ended did. */
const losses = new WeakMap<Backend, DeviceLostError>();
type LossListener = (backend: Backend, error: DeviceLostError) => void;
const listeners = new Set<LossListener>();

/** Makes a kind of device available on demand; the CPU registers itself so. */
export function registerBackend(type: DeviceType, make: () => Backend): void {
  makers.set(type, make);
}

/** Puts a device in the place of the one of its kind, if any, which is forgotten. */
export function setBackend(backend: Backend): void {
  backends.set(backend.type, backend);
}

/** As `setBackend`, for a device that may be lost; the one before keeps its tensors until it is destroyed or lost. */
export function addBackend(backend: Backend): void {
  const before = backends.get(backend.type);
  if (before === backend) return;
  if (before !== undefined && !losses.has(before)) former.add(before);
  former.delete(backend);
  setBackend(backend);
  void backend.lost?.then((error) => noteLoss(backend, error));
}

/** Ends a device. Its tensors are lost, but for values that the host knows; new tensors go to the CPU if it was the default. */
export function endBackend(backend: Backend): void {
  backend.destroy();
  if (backends.get(backend.type) === backend) backends.delete(backend.type);
  if (current === backend) current = null;
  noteLoss(
    backend,
    new DeviceLostError(`the ${backend.type} device (${backend.description}) was ended by tg.destroy()`, "destroyed"),
  );
}

function noteLoss(backend: Backend, error: DeviceLostError): void {
  former.delete(backend);
  if (losses.has(backend)) return;
  losses.set(backend, error);
  // What it had on the host's side goes as well.
  backend.destroy();
  for (const listener of Array.from(listeners)) {
    try {
      listener(backend, error);
    } catch (problem) {
      // It is nobody else's: the other listeners hear of the loss all the same.
      queueMicrotask(() => {
        throw problem;
      });
    }
  }
}

/** Calls `listener` whenever a device ends. Gives a function that stops that. */
export function listenForLoss(listener: LossListener): () => void {
  // The same function given twice is two listeners.
  const own: LossListener = (backend, error) => listener(backend, error);
  listeners.add(own);
  return () => void listeners.delete(own);
}

/** Why a device ended; null while it works. */
export function lossOf(backend: Backend): DeviceLostError | null {
  return losses.get(backend) ?? null;
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

/** Devices in use, those before the last `init` included; none that ended. */
export function activeBackends(): Backend[] {
  return [...backends.values(), ...former].filter((backend) => !losses.has(backend));
}
