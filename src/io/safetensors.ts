/** The safetensors format: a JSON header of names, dtypes, shapes and offsets, then the elements. */

import { describeValue, isOptions, requireTensor } from "../args.ts";
import type { DType } from "../dtype.ts";
import { ArgumentError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import { bytesOf, fromBytes, joinBytes, toBytes, type Bytes, type FileType } from "./bytes.ts";

const NAMES: Partial<Record<FileType, string>> = {
  bool: "BOOL",
  uint8: "U8",
  int8: "I8",
  int16: "I16",
  uint16: "U16",
  int32: "I32",
  uint32: "U32",
  int64: "I64",
  uint64: "U64",
  float16: "F16",
  bfloat16: "BF16",
  float32: "F32",
  float64: "F64",
};

/** A tensor of a file: its elements in row-major order, little-endian. */
export interface FileEntry {
  readonly type: FileType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** The bytes of a safetensors file of tensors by name, such as a module's `stateDict()`. */
export async function saveSafetensors(
  tensors: Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<Uint8Array<ArrayBuffer>> {
  if (!isOptions(tensors))
    throw new ArgumentError(
      `saveSafetensors: expected an object of tensors by name, such as model.stateDict(), got ${describeValue(tensors)}`,
    );
  for (const [name, tensor] of Object.entries(tensors)) requireTensor("saveSafetensors", JSON.stringify(name), tensor);
  for (const [name, value] of Object.entries(metadata))
    if (typeof value !== "string")
      throw new ArgumentError(
        `saveSafetensors: metadata is strings by name, but ${JSON.stringify(name)} is ${describeValue(value)}`,
      );
  // All are read as they are now, whatever is written before the last of them arrives.
  const entries = Object.entries(tensors).map(async ([name, tensor]) => ({
    name,
    dtype: tensor.dtype,
    shape: tensor.shape,
    bytes: await toBytes(tensor),
  }));
  return encodeSafetensors(await Promise.all(entries), metadata);
}

/** The bytes of a file. */
export function encodeSafetensors(
  entries: readonly { name: string; dtype: DType; shape: readonly number[]; bytes: Uint8Array }[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const header: Record<string, unknown> = Object.keys(metadata).length > 0 ? { __metadata__: metadata } : {};
  let at = 0;
  for (const { name, dtype, shape, bytes } of entries) {
    header[name] = { dtype: NAMES[dtype], shape: [...shape], data_offsets: [at, at + bytes.length] };
    at += bytes.length;
  }
  const text = JSON.stringify(header);
  // The elements begin at a multiple of eight bytes.
  const json = new TextEncoder().encode(text);
  const padding = new Uint8Array((8 - (json.length % 8)) % 8).fill(0x20);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(json.length + padding.length), true);
  return joinBytes([length, json, padding, ...entries.map(({ bytes }) => bytes)]);
}

/** The tensors of a safetensors file, on the default device. 64-bit integers become int32, bfloat16 float32. */
export function loadSafetensors(data: Bytes): Record<string, Tensor> {
  const { entries } = decodeSafetensors("loadSafetensors", bytesOf("loadSafetensors", data));
  const result: Record<string, Tensor> = {};
  for (const [name, { type, shape, bytes }] of entries)
    result[name] = fromBytes(`loadSafetensors: ${name}`, type, shape, bytes);
  return result;
}

/** What is in a file. */
export function decodeSafetensors(
  op: string,
  bytes: Uint8Array,
): { metadata: Readonly<Record<string, string>>; entries: Map<string, FileEntry> } {
  const broken = (why: string): ArgumentError => new ArgumentError(`${op}: this is no safetensors file: ${why}`);
  if (bytes.length < 8) throw broken("it is shorter than its header's length");
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));
  if (length > bytes.length - 8) throw broken(`its header of ${length} bytes is longer than the file`);
  let header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;
  try {
    header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as typeof header;
  } catch {
    throw broken("its header is no JSON");
  }
  if (typeof header !== "object" || header === null) throw broken("its header is no object");
  const { __metadata__: metadata = {}, ...rest } = header as typeof header & {
    __metadata__?: Record<string, string>;
  };
  const entries = new Map<string, FileEntry>();
  for (const [name, entry] of Object.entries(rest)) {
    const type = (Object.keys(NAMES) as FileType[]).find((t) => NAMES[t] === entry?.dtype);
    if (type === undefined)
      throw new ArgumentError(`${op}: "${name}" has the dtype ${describeValue(entry?.dtype)}, which is not supported`);
    const { shape, data_offsets: offsets } = entry;
    if (![shape, offsets].every((l) => Array.isArray(l) && l.every((n) => Number.isInteger(n) && n >= 0)))
      throw broken(`"${name}" lacks a shape or its place in the file`);
    const [begin, end] = offsets;
    if (!(begin >= 0 && begin <= end && 8 + length + end <= bytes.length))
      throw broken(`"${name}" lies outside of the file`);
    entries.set(name, { type, shape: entry.shape, bytes: bytes.subarray(8 + length + begin, 8 + length + end) });
  }
  return { metadata, entries };
}
