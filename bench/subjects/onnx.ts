/** Writes small ONNX models: the protobuf wire format of the few messages that a graph of operators needs. */

import type { HalfArray } from "../support/half.ts";

/** Attribute of an operator: integer, list of integers, or float (`{ float }`, as 1 is no integer there). */
export type OnnxAttribute = number | readonly number[] | { readonly float: number } | string;

/** One operator. */
export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
}

/** A graph's input or output. */
export interface OnnxValue {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: "float32" | "float16" | "int32" | "int64";
}

/** A constant tensor. */
export interface OnnxConstant {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array | HalfArray | BigInt64Array;
}

export interface OnnxGraph {
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly constants?: readonly OnnxConstant[];
}

// Wire types of protobuf.
const VARINT = 0;
const BYTES = 2;
const FIXED32 = 5;

// onnx.proto: TensorProto.DataType, AttributeProto.AttributeType.
const DATA_TYPE = { float32: 1, int32: 6, int64: 7, float16: 10 } as const;
const ATTRIBUTE = { float: 1, int: 2, string: 3, ints: 7 } as const;
const IR_VERSION = 10;
const OPSET = 21;

function varint(value: number | bigint): number[] {
  const result: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest > 0x7fn) {
    result.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  result.push(Number(rest));
  return result;
}

/** A message in the making. */
class Message {
  readonly #parts: Uint8Array[] = [];

  integer(field: number, value: number | bigint): this {
    this.#parts.push(Uint8Array.from([...varint((field << 3) | VARINT), ...varint(value)]));
    return this;
  }

  float(field: number, value: number): this {
    const bytes = new Uint8Array(new Float32Array([value]).buffer);
    this.#parts.push(Uint8Array.from([...varint((field << 3) | FIXED32), ...bytes]));
    return this;
  }

  bytes(field: number, value: Uint8Array): this {
    this.#parts.push(Uint8Array.from([...varint((field << 3) | BYTES), ...varint(value.length)]), value);
    return this;
  }

  text(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  message(field: number, value: Message): this {
    return this.bytes(field, value.finish());
  }

  finish(): Uint8Array {
    const result = new Uint8Array(this.#parts.reduce((sum, p) => sum + p.length, 0));
    let at = 0;
    for (const part of this.#parts) {
      result.set(part, at);
      at += part.length;
    }
    return result;
  }
}

function attribute(name: string, value: OnnxAttribute): Message {
  const message = new Message().text(1, name);
  if (typeof value === "number") return message.integer(3, value).integer(20, ATTRIBUTE.int);
  if (typeof value === "string") return message.text(4, value).integer(20, ATTRIBUTE.string);
  if ("float" in value) return message.float(2, value.float).integer(20, ATTRIBUTE.float);
  for (const item of value) message.integer(8, item);
  return message.integer(20, ATTRIBUTE.ints);
}

function node({ op, inputs, outputs, attributes = {} }: OnnxNode): Message {
  const message = new Message();
  for (const name of inputs) message.text(1, name);
  for (const name of outputs) message.text(2, name);
  message.text(4, op);
  for (const [name, value] of Object.entries(attributes)) message.message(5, attribute(name, value));
  return message;
}

function valueInfo({ name, shape, type }: OnnxValue): Message {
  const dimensions = new Message();
  for (const size of shape) dimensions.message(1, new Message().integer(1, size));
  const tensor = new Message().integer(1, DATA_TYPE[type]).message(2, dimensions);
  return new Message().text(1, name).message(2, new Message().message(1, tensor));
}

function typeOf(data: OnnxConstant["data"]): keyof typeof DATA_TYPE {
  if (data instanceof Float32Array) return "float32";
  return data instanceof BigInt64Array ? "int64" : "float16";
}

function constant({ name, shape, data }: OnnxConstant): Message {
  const message = new Message();
  for (const size of shape) message.integer(1, size);
  return message
    .integer(2, DATA_TYPE[typeOf(data)])
    .text(8, name)
    .bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

/** The bytes of a model that is this graph. */
export function onnxModel({ nodes, inputs, outputs, constants = [] }: OnnxGraph): Uint8Array {
  const graph = new Message();
  for (const n of nodes) graph.message(1, node(n));
  graph.text(2, "workload");
  for (const c of constants) graph.message(5, constant(c));
  for (const v of inputs) graph.message(11, valueInfo(v));
  for (const v of outputs) graph.message(12, valueInfo(v));
  return new Message()
    .integer(1, IR_VERSION)
    .message(7, graph)
    .message(8, new Message().text(1, "").integer(2, OPSET))
    .finish();
}
