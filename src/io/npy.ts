/** NumPy's files: one array (.npy), and several in a zip archive (.npz). */

import type { DType } from "../dtype.ts";
import { requireTensor } from "../args.ts";
import { ArgumentError, TapegradError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import { bytesOf, fromBytes, joinBytes, toBytes, type Bytes, type FileType } from "./bytes.ts";

const DESCRIPTIONS: Readonly<Record<DType, string>> = {
  float32: "<f4",
  float64: "<f8",
  float16: "<f2",
  int32: "<i4",
  uint8: "|u1",
  bool: "|b1",
};
const TYPES: Readonly<Record<string, FileType>> = {
  f2: "float16",
  f4: "float32",
  f8: "float64",
  i1: "int8",
  i2: "int16",
  i4: "int32",
  i8: "int64",
  u1: "uint8",
  u2: "uint16",
  u4: "uint32",
  u8: "uint64",
  b1: "bool",
};

/** The bytes of a .npy file of a tensor. */
export async function saveNpy(tensor: Tensor): Promise<Uint8Array<ArrayBuffer>> {
  requireTensor("saveNpy", "the first argument", tensor);
  const shape = tensor.shape.length === 1 ? `(${tensor.shape[0]},)` : `(${tensor.shape.join(", ")})`;
  const text = `{'descr': '${DESCRIPTIONS[tensor.dtype]}', 'fortran_order': False, 'shape': ${shape}, }`;
  // The elements begin at a multiple of 64 bytes.
  const padding = 63 - ((10 + text.length) % 64);
  const header = new TextEncoder().encode(`${text}${" ".repeat(padding)}\n`);
  const start = Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length & 255, header.length >> 8);
  return joinBytes([start, header, await toBytes(tensor)]);
}

/** The tensor of a .npy file, on the default device. 64-bit integers become int32. */
export function loadNpy(data: Bytes): Tensor {
  const bytes = bytesOf("loadNpy", data);
  const broken = (why: string): ArgumentError => new ArgumentError(`loadNpy: this is no .npy file: ${why}`);
  if (bytes.length < 10 || bytes[0] !== 0x93 || new TextDecoder().decode(bytes.subarray(1, 6)) !== "NUMPY")
    throw broken("it does not begin as one");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const long = bytes[6]! > 1;
  const start = long ? 12 : 10;
  const end = start + (long ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = new TextDecoder().decode(bytes.subarray(start, end));
  const descr = /'descr':\s*'([<>|=])([a-z]\d+)'/.exec(header);
  const shape = /'shape':\s*\(([\d,\s]*)\)/.exec(header);
  if (descr === null || shape === null) throw broken(`its header is ${header.trim()}`);
  const type = TYPES[descr[2]!];
  if (type === undefined || (descr[1] === ">" && !descr[2]!.endsWith("1")))
    throw new ArgumentError(
      `loadNpy: arrays of ${descr[1]}${descr[2]} are not supported; save them as float32 or int32, little-endian`,
    );
  const sizes = shape[1]!
    .split(",")
    .map((s) => s.trim())
    .filter((s) => s !== "")
    .map(Number);
  const fortran = /'fortran_order':\s*True/.test(header);
  const read = fromBytes("loadNpy", type, fortran ? sizes.toReversed() : sizes, bytes.subarray(end));
  return fortran ? read.permute(sizes.map((_, d) => sizes.length - 1 - d)).contiguous() : read;
}

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

function words(...fields: readonly (readonly [size: 2 | 4, value: number])[]): Uint8Array {
  const out = new Uint8Array(fields.reduce((n, [size]) => n + size, 0));
  const view = new DataView(out.buffer);
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return out;
}

/** The bytes of a .npz file (an uncompressed zip archive) of tensors by name. */
export async function saveNpz(tensors: Readonly<Record<string, Tensor>>): Promise<Uint8Array<ArrayBuffer>> {
  const files: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  const entries = Object.entries(tensors);
  for (const [key, tensor] of entries) {
    const content = await saveNpy(tensor);
    const name = new TextEncoder().encode(`${key}.npy`);
    const crc = crc32(content);
    // Version, UTF-8 names, stored; 1980-01-01.
    const common = [
      [2, 20],
      [2, 0x800],
      [2, 0],
      [2, 0],
      [2, 0x21],
      [4, crc],
      [4, content.length],
      [4, content.length],
      [2, name.length],
      [2, 0],
    ] as const;
    const local = joinBytes([words([4, 0x04034b50], ...common), name, content]);
    directory.push(
      joinBytes([words([4, 0x02014b50], [2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, at]), name]),
    );
    files.push(local);
    at += local.length;
  }
  const central = joinBytes(directory);
  const count = entries.length;
  const end = words([4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, central.length], [4, at], [2, 0]);
  return joinBytes([...files, central, end]);
}

/** The tensors of a .npz file, compressed or not, on the default device. */
export async function loadNpz(data: Bytes): Promise<Record<string, Tensor>> {
  const bytes = bytesOf("loadNpz", data);
  try {
    return await unpacked(bytes);
  } catch (error) {
    if (error instanceof TapegradError) throw error;
    // Places beyond the end, or content that does not inflate.
    throw new ArgumentError(`loadNpz: this .npz file is broken: ${String(error)}`, { cause: error });
  }
}

async function unpacked(bytes: Uint8Array): Promise<Record<string, Tensor>> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let end = bytes.length - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end--;
  if (end < 0) throw new ArgumentError("loadNpz: this is no .npz file: it has no zip directory");
  const count = view.getUint16(end + 10, true);
  let at = view.getUint32(end + 16, true);
  const result: Record<string, Tensor> = {};
  for (let i = 0; i < count; i++) {
    const method = view.getUint16(at + 10, true);
    const packed = view.getUint32(at + 20, true);
    const nameLength = view.getUint16(at + 28, true);
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength));
    const local = view.getUint32(at + 42, true);
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    const content = bytes.slice(start, start + packed);
    if (method !== 0 && method !== 8)
      throw new ArgumentError(`loadNpz: "${name}" is packed by method ${method}; stored and deflated ones can be read`);
    result[name.replace(/\.npy$/, "")] = loadNpy(method === 0 ? content : await inflate(content));
    at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return result;
}

async function inflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
