/** Tensors as little-endian bytes, and back. */

import { fromHalf, hostArray, toHalf, type DType, type HostArray } from "../dtype.ts";
import { DTypeError } from "../errors.ts";
import { defaultBackend } from "../graph/devices.ts";
import { fromHost } from "../ops/creation.ts";
import type { Tensor } from "../tensor.ts";

/** Element types of files: those of tensors, and those that become one of them when they are read. */
export type FileType = DType | "int64" | "uint64" | "int16" | "int8" | "uint16" | "uint32" | "bfloat16";

/** Bytes of an element in a file. */
export const FILE_SIZE: Readonly<Record<FileType, number>> = {
  bool: 1,
  uint8: 1,
  int8: 1,
  int16: 2,
  uint16: 2,
  float16: 2,
  bfloat16: 2,
  int32: 4,
  uint32: 4,
  float32: 4,
  int64: 8,
  uint64: 8,
  float64: 8,
};

/** What files are given as. */
export type Bytes = ArrayBuffer | Uint8Array;

/** A view of a file's bytes. */
export function bytesOf(op: string, data: Bytes): Uint8Array {
  if (data instanceof Uint8Array) return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  throw new DTypeError(`${op}: expected an ArrayBuffer or a Uint8Array, for example await file.arrayBuffer()`);
}

/** The elements of a tensor in row-major order. */
export async function toBytes(tensor: Tensor): Promise<Uint8Array> {
  const { dtype } = tensor;
  const values = await tensor.data();
  const size = FILE_SIZE[dtype];
  const view = new DataView(new ArrayBuffer(values.length * size));
  for (let i = 0; i < values.length; i++) {
    const v = values[i]!;
    if (dtype === "float32") view.setFloat32(4 * i, v, true);
    else if (dtype === "float64") view.setFloat64(8 * i, v, true);
    else if (dtype === "int32") view.setInt32(4 * i, v, true);
    else if (dtype === "float16") view.setUint16(2 * i, toHalf(v), true);
    else view.setUint8(i, v);
  }
  return new Uint8Array(view.buffer);
}

const bits = new DataView(new ArrayBuffer(4));

/** A tensor of `count` elements of a file. Integers of 64 bits become int32 and must fit; bfloat16 becomes float32. */
export function fromBytes(op: string, type: FileType, shape: readonly number[], bytes: Uint8Array): Tensor {
  const size = FILE_SIZE[type];
  const count = shape.reduce((a, b) => a * b, 1);
  if (bytes.length !== count * size)
    throw new DTypeError(
      `${op}: ${count} elements of ${type} take ${count * size} bytes, but there are ${bytes.length}`,
    );
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const backend = defaultBackend();
  let dtype: DType;
  if (type === "bfloat16") dtype = "float32";
  else if (type === "float64") dtype = backend.supports("float64") ? "float64" : "float32";
  else if (type === "float16") dtype = backend.supports("float16") ? "float16" : "float32";
  else if (type === "bool" || type === "uint8" || type === "float32") dtype = type;
  else dtype = "int32";
  const host: HostArray = hostArray(dtype, count);
  for (let i = 0; i < count; i++) {
    const v = element(view, type, i * size);
    if (dtype === "int32" && (v > 2147483647 || v < -2147483648))
      throw new DTypeError(`${op}: element ${i} is ${v}, which does not fit int32`);
    host[i] = dtype === "float16" ? view.getUint16(2 * i, true) : v;
  }
  return fromHost(backend, host, shape, dtype);
}

function element(view: DataView, type: FileType, at: number): number {
  switch (type) {
    case "float32":
      return view.getFloat32(at, true);
    case "float64":
      return view.getFloat64(at, true);
    case "float16":
      return fromHalf(view.getUint16(at, true));
    case "bfloat16":
      bits.setUint32(0, view.getUint16(at, true) << 16);
      return bits.getFloat32(0);
    case "int32":
      return view.getInt32(at, true);
    case "uint32":
      return view.getUint32(at, true);
    case "int16":
      return view.getInt16(at, true);
    case "uint16":
      return view.getUint16(at, true);
    case "int8":
      return view.getInt8(at);
    case "int64":
      return Number(view.getBigInt64(at, true));
    case "uint64":
      return Number(view.getBigUint64(at, true));
    case "bool":
      return view.getUint8(at) === 0 ? 0 : 1;
    case "uint8":
      return view.getUint8(at);
  }
}

/** Pieces of a file as one. */
export function joinBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
