/** Snapshots as files: safetensors with the form of the state in the metadata, so that other programs can read the tensors. */

import { hostArray, type DType, type HostArray } from "../dtype.ts";
import { ArgumentError } from "../errors.ts";
import type { SavedTensor, SavedValue, Snapshot } from "../snapshot.ts";
import { bytesOf, type Bytes } from "./bytes.ts";
import { decodeSafetensors, encodeSafetensors } from "./safetensors.ts";

/** Where the form is found in the metadata. */
const KEY = "tapegrad.snapshot";

/** The bytes of a file with a snapshot. */
export function saveSnapshot(snapshot: Snapshot): Uint8Array<ArrayBuffer> {
  if (snapshot?.format !== "tapegrad snapshot")
    throw new ArgumentError("saveSnapshot: expected what await snapshot() gave");
  const parts: { name: string; dtype: DType; shape: readonly number[]; bytes: Uint8Array }[] = [];
  const place = (part: SavedValue, path: string): unknown => {
    switch (part.kind) {
      case "tensor": {
        const { data, dtype, shape, device } = part;
        parts.push({ name: path, dtype, shape, bytes: littleEndian(data) });
        return { kind: "tensor", device, name: path };
      }
      case "value":
        return { kind: "value", value: plainNumber(part.value) };
      case "array":
        return { kind: "array", items: part.items.map((item, i) => place(item, `${path}[${i}]`)) };
      case "record":
        return { kind: "record", entries: mapRecord(part.entries, (item, key) => place(item, join(path, key))) };
      case "module":
        return {
          kind: "module",
          entries: mapRecord(part.entries, (item, key) => place(item, join(path, key))),
          gradients: part.gradients && mapRecord(part.gradients, (item, key) => place(item, `${join(path, key)}.grad`)),
        };
      case "state":
        return {
          kind: "state",
          state: place(part.state, path),
          parameters: mapRecord(part.parameters, (item, key) => place(item, join(path, `parameters[${key}]`))),
        };
    }
  };
  const { format, version, random, device } = snapshot;
  const form = JSON.stringify({ format, version, random, device, state: place(snapshot.state, "") });
  return encodeSafetensors(parts, { [KEY]: form });
}

/** The snapshot in a file that `saveSnapshot` made, for `restore`. */
export function loadSnapshot(data: Bytes): Snapshot {
  const { metadata, entries } = decodeSafetensors("loadSnapshot", bytesOf("loadSnapshot", data));
  const text = metadata[KEY];
  if (text === undefined) throw new ArgumentError("loadSnapshot: this file of tensors is no snapshot");
  let form: Snapshot & { state: Placed };
  try {
    form = JSON.parse(text) as typeof form;
  } catch {
    throw new ArgumentError("loadSnapshot: this snapshot is broken: the form of its state is no JSON");
  }
  const tensorOf = ({ device, name }: Placed & { kind: "tensor" }): SavedTensor => {
    const entry = entries.get(name);
    if (entry === undefined) throw new ArgumentError(`loadSnapshot: the file lacks the tensor "${name}"`);
    const dtype = entry.type as DType;
    return { kind: "tensor", dtype, shape: entry.shape, device, data: fromLittleEndian(entry.bytes, dtype) };
  };
  const build = (part: Placed): SavedValue => {
    switch (part.kind) {
      case "tensor":
        return tensorOf(part);
      case "value":
        return { kind: "value", value: anyNumber(part.value) };
      case "array":
        return { kind: "array", items: part.items.map(build) };
      case "record":
        return { kind: "record", entries: mapRecord(part.entries, build) };
      case "module":
        return {
          kind: "module",
          entries: mapRecord(part.entries, tensorOf),
          gradients: part.gradients && mapRecord(part.gradients, tensorOf),
        };
      case "state":
        return { kind: "state", state: build(part.state), parameters: mapRecord(part.parameters, tensorOf) };
    }
  };
  return { ...form, state: build(form.state) };
}

type PlacedTensor = Omit<SavedTensor, "data" | "dtype" | "shape"> & { readonly name: string };
type PlainValue = number | string | boolean | null | { readonly number: string };

/** A saved value with the names of its tensors in the place of their elements. */
type Placed =
  | PlacedTensor
  | { readonly kind: "value"; readonly value: PlainValue }
  | { readonly kind: "array"; readonly items: readonly Placed[] }
  | { readonly kind: "record"; readonly entries: Readonly<Record<string, Placed>> }
  | {
      readonly kind: "module";
      readonly entries: Readonly<Record<string, PlacedTensor>>;
      readonly gradients: Readonly<Record<string, PlacedTensor>> | null;
    }
  | { readonly kind: "state"; readonly state: Placed; readonly parameters: Readonly<Record<string, PlacedTensor>> };

/** JSON has neither NaN nor infinities nor -0. */
function plainNumber(value: number | string | boolean | null): PlainValue {
  if (typeof value !== "number" || (Number.isFinite(value) && !Object.is(value, -0))) return value;
  return { number: Object.is(value, -0) ? "-0" : String(value) };
}

function anyNumber(value: PlainValue): number | string | boolean | null {
  return typeof value === "object" && value !== null ? Number(value.number) : value;
}

function mapRecord<A, B>(record: Readonly<Record<string, A>>, f: (item: A, key: string) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, item]) => [key, f(item, key)]));
}

function join(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

const isLittleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** Elements as they lie in a file. */
function littleEndian(data: HostArray): Uint8Array {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return isLittleEndian ? bytes : swapped(bytes, data.BYTES_PER_ELEMENT);
}

function fromLittleEndian(bytes: Uint8Array, dtype: DType): HostArray {
  const size = hostArray(dtype, 0).BYTES_PER_ELEMENT;
  const result = hostArray(dtype, bytes.length / size);
  new Uint8Array(result.buffer).set(isLittleEndian ? bytes : swapped(bytes, size));
  return result;
}

function swapped(bytes: Uint8Array, size: number): Uint8Array {
  const result = bytes.slice();
  for (let at = 0; at < result.length; at += size) result.subarray(at, at + size).reverse();
  return result;
}
