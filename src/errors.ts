/**
 * The errors that Tapegrad throws. Each message names the operation and the values, and says what to do.
 * `TapegradError` is the base of all of them, so `catch (e) { if (e instanceof TapegradError) ... }` catches every one.
 */

/** Base class of every error thrown on purpose by this library. */
export class TapegradError extends Error {
  /** Name of the class, as messages show it. */
  override name = "TapegradError";
}

/** Shapes, sizes or dimensions that do not fit the operation. */
export class ShapeError extends TapegradError {
  override name = "ShapeError";
}

/** An element type that the operation, or the device, does not take. */
export class DTypeError extends TapegradError {
  override name = "DTypeError";
}

/** An argument or option that is not understood: unknown name, wrong kind, value out of its range. */
export class ArgumentError extends TapegradError {
  override name = "ArgumentError";
}

/** An index outside its dimension. */
export class IndexError extends TapegradError {
  override name = "IndexError";
}

/** A device that is missing, cannot do what was asked, or tensors on two devices in one operation. */
export class DeviceError extends TapegradError {
  override name = "DeviceError";
}

/**
 * Writes out the trace of an error that is kept: until it is read, engines keep what its frames refer to, in which a whole program of values may hang.
 */
function writeOutTrace(error: Error): void {
  const { stack } = error;
  if (stack !== undefined) error.stack = stack;
}

/** Why a device went away: somebody ended it, or it failed. */
export type DeviceLostReason = "destroyed" | "unknown";

/** The device went away; every pending read rejects with this, and so does everything that is asked of it afterwards. */
export class DeviceLostError extends DeviceError {
  override name = "DeviceLostError";
  /** `"destroyed"` if it was ended by `tg.destroy()` or by `GPUDevice.destroy()`, else `"unknown"`. */
  readonly reason: DeviceLostReason;

  constructor(message: string, reason: DeviceLostReason = "unknown") {
    super(message);
    this.reason = reason;
    writeOutTrace(this);
  }
}

/** What was asked of a device that had no memory for it; bytes. */
export interface MemoryAsked {
  /** Bytes that were asked for. */
  readonly asked: number;
  /** Bytes in use then. */
  readonly live: number;
  /** Bytes of free memory kept for reuse then. */
  readonly pooled: number;
}

/**
 * The device could not give the memory asked for, even after the pool was trimmed and everything that can be computed again was given up. What was
 * computed before stays; the same can be asked for again once there is memory.
 */
export class OutOfMemoryError extends DeviceError {
  override name = "OutOfMemoryError";
  /** What needed the memory; null if that is not known. */
  readonly operation: string | null;
  /** Bytes that were asked for. */
  readonly bytesAsked: number;
  /** Bytes of device memory in use then. */
  readonly bytesLive: number;
  /** Bytes of free device memory kept for reuse then. */
  readonly bytesPooled: number;

  /** `where` is a device; `note` says more. */
  constructor(operation: string | null, where: string, { asked, live, pooled }: MemoryAsked, note = "") {
    super(
      `${operation === null ? "" : `${operation}: `}out of memory on the ${where}: ${asked} bytes were asked for, ${live} are live and ` +
        `${pooled} pooled${note}. Use smaller tensors or batches, or let go of tensors that you hold (dispose() or tg.scope()).`,
    );
    this.operation = operation;
    this.bytesAsked = asked;
    this.bytesLive = live;
    this.bytesPooled = pooled;
    writeOutTrace(this);
  }
}

/** A value that was given up: disposed by hand, or overwritten together with what it could be recomputed from. */
export class DisposedError extends TapegradError {
  override name = "DisposedError";
}

/** A misuse of automatic differentiation, in PyTorch's words where it has them. */
export class AutogradError extends TapegradError {
  override name = "AutogradError";
}

/** A matrix that a linear-algebra operation cannot take: singular, or not positive definite. */
export class LinAlgError extends TapegradError {
  override name = "LinAlgError";
}
