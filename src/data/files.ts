/** Data of well-known files: IDX (as MNIST has it), tables of comma-separated values, and text by characters. */

import { checkInteger, describeValue, parse, signature, type ArgsOf } from "../args.ts";
import { hostArray } from "../dtype.ts";
import { ArgumentError, ShapeError } from "../errors.ts";
import { defaultBackend } from "../graph/devices.ts";
import { fromHost, tensor } from "../ops/creation.ts";
import type { Tensor } from "../tensor.ts";
import { Dataset } from "./dataset.ts";

/** The tensor of an IDX file (unpacked): bytes become uint8, integers int32, numbers float32. */
export function loadIdx(data: ArrayBuffer | Uint8Array): Tensor {
  if (!(data instanceof Uint8Array || data instanceof ArrayBuffer))
    throw new ArgumentError(`loadIdx: expected the bytes of a file, got ${describeValue(data)}`);
  const bytes = data instanceof Uint8Array ? data : new Uint8Array(data);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < 4 || bytes[0] !== 0 || bytes[1] !== 0)
    throw new ArgumentError("loadIdx: this is no IDX file (is it still packed by gzip?)");
  const rank = bytes[3]!;
  if (bytes.length < 4 + 4 * rank)
    throw new ArgumentError(`loadIdx: the header of ${rank} sizes is longer than the file of ${bytes.length} bytes`);
  const shape = Array.from({ length: rank }, (_, d) => view.getUint32(4 + 4 * d));
  const count = shape.reduce((a, b) => a * b, 1);
  const start = 4 + 4 * rank;
  const readers: Record<number, [size: number, dtype: "uint8" | "int32" | "float32", read: (at: number) => number]> = {
    0x08: [1, "uint8", (at) => view.getUint8(at)],
    0x09: [1, "int32", (at) => view.getInt8(at)],
    0x0b: [2, "int32", (at) => view.getInt16(at)],
    0x0c: [4, "int32", (at) => view.getInt32(at)],
    0x0d: [4, "float32", (at) => view.getFloat32(at)],
    0x0e: [8, "float32", (at) => view.getFloat64(at)],
  };
  const reader = readers[bytes[2]!];
  if (reader === undefined) throw new ArgumentError(`loadIdx: unknown element type 0x${bytes[2]!.toString(16)}`);
  const [size, dtype, read] = reader;
  if (bytes.length < start + count * size)
    throw new ShapeError(
      `loadIdx: shape [${shape.join(", ")}] takes ${count * size} bytes, but there are ${bytes.length - start}`,
    );
  const host = hostArray(dtype, count);
  for (let i = 0; i < count; i++) host[i] = read(start + i * size);
  return fromHost(defaultBackend(), host, shape, dtype);
}

/** Fields of a line, with quotes undone. */
function fieldsOf(text: string, delimiter: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let field = "";
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (quoted) {
      if (c !== '"') field += c;
      else if (text[i + 1] === '"') {
        field += '"';
        i++;
      } else quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === delimiter) {
      row.push(field);
      field = "";
    } else if (c === "\n" || c === "\r") {
      if (c === "\r" && text[i + 1] === "\n") i++;
      rows.push([...row, field]);
      row = [];
      field = "";
    } else field += c;
  }
  if (field !== "" || row.length > 0) rows.push([...row, field]);
  return rows.filter((r) => r.length > 1 || r[0] !== "");
}

const LOAD_CSV = signature<{ delimiter?: string; header?: boolean }>()("loadCsv", ["delimiter", "header"]);

/** A table of numbers [rows, columns] and the names of its columns, from text. Empty fields become NaN. */
export function loadCsv(
  text: string,
  ...args: ArgsOf<typeof LOAD_CSV>
): {
  /** Names of the columns; without a header their numbers. */
  columns: string[];
  /** The numbers, [rows, columns]. */
  values: Tensor;
} {
  const { delimiter = ",", header = true } = parse(LOAD_CSV, args);
  if (typeof text !== "string") throw new ArgumentError(`loadCsv: expected a text, got ${describeValue(text)}`);
  if (typeof delimiter !== "string" || delimiter.length !== 1)
    throw new ArgumentError(`loadCsv: delimiter must be one character, got ${describeValue(delimiter)}`);
  if (typeof header !== "boolean")
    throw new ArgumentError(`loadCsv: header must be a boolean, got ${describeValue(header)}`);
  const rows = fieldsOf(text, delimiter);
  const columns = header ? (rows.shift() ?? []) : (rows[0] ?? []).map((_, i) => String(i));
  const numbers = new Float64Array(rows.length * columns.length);
  rows.forEach((row, r) => {
    if (row.length !== columns.length)
      throw new ShapeError(`loadCsv: row ${r + 1} has ${row.length} fields, but there are ${columns.length} columns`);
    row.forEach((field, c) => {
      const value = field.trim() === "" ? NaN : Number(field);
      if (Number.isNaN(value) && field.trim() !== "" && field.trim().toLowerCase() !== "nan")
        throw new ArgumentError(`loadCsv: "${field}" in row ${r + 1}, column "${columns[c]}", is no number`);
      numbers[r * columns.length + c] = value;
    });
  });
  return { columns, values: tensor(numbers, { shape: [rows.length, columns.length] }) };
}

/** Windows of a text by characters, for a model of the next one: sample i is characters i to i + length, and the same one later. */
export class TextDataset extends Dataset<[Tensor, Tensor]> {
  /** The characters that occur, in order: the index of a character is its token. */
  readonly vocabulary: readonly string[];
  /** Characters of a window. */
  readonly blockSize: number;
  readonly #tokens: Tensor;
  readonly #numbers: ReadonlyMap<string, number>;

  constructor(text: string, blockSize: number) {
    super();
    if (typeof text !== "string") throw new ArgumentError(`TextDataset: expected a text, got ${describeValue(text)}`);
    if (checkInteger("TextDataset", "blockSize", blockSize) < 1)
      throw new ArgumentError(`TextDataset: blockSize must be positive, got ${blockSize}`);
    const characters = Array.from(text);
    if (characters.length <= blockSize)
      throw new ArgumentError(
        `TextDataset: a text of ${characters.length} characters is too short for windows of ${blockSize} and one more`,
      );
    this.vocabulary = [...new Set(characters)].sort();
    this.#numbers = new Map(this.vocabulary.map((c, i) => [c, i]));
    this.blockSize = blockSize;
    this.#tokens = this.encode(text);
  }

  /** Characters as int32 tokens. */
  encode(text: string): Tensor {
    const tokens = Int32Array.from(text, (c) => {
      const token = this.#numbers.get(c);
      if (token === undefined)
        throw new ArgumentError(`TextDataset: the character ${JSON.stringify(c)} is not in the vocabulary`);
      return token;
    });
    return tensor(tokens);
  }

  /** Tokens as characters. */
  decode(tokens: Iterable<number>): string {
    return Array.from(tokens, (t) => this.vocabulary[t] ?? "").join("");
  }

  override get length(): number {
    return this.#tokens.shape[0]! - this.blockSize;
  }

  override get(index: number): [Tensor, Tensor] {
    return [this.#tokens.narrow(0, index, this.blockSize), this.#tokens.narrow(0, index + 1, this.blockSize)];
  }

  /** One gather for all windows of a batch. */
  override batch(indices: readonly number[]): [Tensor, Tensor] {
    const size = this.blockSize;
    const places = Int32Array.from({ length: indices.length * (size + 1) }, (_, i) => {
      const row = Math.floor(i / (size + 1));
      return indices[row]! + (i % (size + 1));
    });
    const index = fromHost(this.#tokens.impl.backend, places, [places.length], "int32");
    const rows = this.#tokens.indexSelect(0, index).view([indices.length, size + 1]);
    return [rows.narrow(1, 0, size), rows.narrow(1, 1, size)];
  }
}
