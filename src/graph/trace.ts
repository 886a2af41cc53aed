/**
 * Programs that are recorded once on stand-ins: for one example of a batch, to be rebuilt for the whole batch (`vmap`), or for arguments to come, to be
 * run again as they are (`compile`). While a trace is open, what depends on a stand-in has no value of its own.
 */

import type { Backend } from "../backend/backend.ts";
import type { DType } from "../dtype.ts";
import { AutogradError } from "../errors.ts";
import { LEAF, Node, type Arg } from "./node.ts";

/** What random operations do inside a vectorised function: fail, draw once for all examples, or draw for each. */
export type Randomness = "error" | "same" | "different";

/** In a function that is compiled, each run draws anew: its random nodes are given new numbers (`replay.ts`). */
type TraceRandomness = Randomness | "replayed";

/** A recording on stand-ins that is going on. */
export interface Trace {
  /** Examples in the batch. */
  readonly size: number;
  readonly randomness: TraceRandomness;
  /** Nodes from this id on were recorded since it began. */
  readonly start: number;
  /** Stands for the int32 number of the example, which random operations need. */
  readonly example: Node;
  /** What was recorded that depends on stand-ins (of this trace or one around it). */
  readonly nodes: Node[];
}

const traces: Trace[] = [];

/** A node that stands for one example's value. It is never computed. */
export function standIn(backend: Backend, shape: readonly number[], dtype: DType): Node {
  const node = new Node(backend, LEAF, shape, dtype, []);
  node.traced = true;
  return node;
}

/** Begins a trace; everything recorded until `endTrace` belongs to it. */
export function beginTrace(backend: Backend, size: number, randomness: TraceRandomness): Trace {
  const example = standIn(backend, [], "int32");
  const trace: Trace = { size, randomness, start: example.id, example, nodes: [] };
  traces.push(trace);
  return trace;
}

/** Ends the innermost trace. Recorded nodes for which `isOwn` holds are forgotten; the others belong to the trace around it. */
export function endTrace(trace: Trace, isOwn: (node: Node) => boolean): void {
  if (traces.pop() !== trace) throw new AutogradError("vectorised functions overlap: they must not be asynchronous");
  const around = traces[traces.length - 1];
  const own = trace.nodes.map((node) => around === undefined || isOwn(node));
  trace.nodes.forEach((node, i) => {
    if (own[i]) node.settle();
    else around!.nodes.push(node);
  });
}

/** True while a program is recorded on stand-ins. */
export function isTracing(): boolean {
  return traces.length > 0;
}

/** True inside a function that is vectorised: nodes are to be rebuilt for a batch. */
export function isVectorizing(): boolean {
  return traces.some((t) => t.randomness !== "replayed");
}

/** Keeps a node that has just been recorded with the trace that it belongs to. */
export function keepTraced(node: Node): Node {
  traces[traces.length - 1]?.nodes.push(node);
  return node;
}

/** The error for reading what has no value. */
export function tracedError(action: string): AutogradError {
  return new AutogradError(
    traces.length > 0
      ? `${action}: a value inside a vectorised function (vmap, jacrev, jacfwd, hessian) stands for every example at once and cannot be read there: ` +
          `return it, and read it from the result; choose between values with where()`
      : `${action}: this tensor belongs to one example of a vectorised function (vmap, jacrev, jacfwd, hessian) that has ended: ` +
          `return it from the function instead of keeping it`,
  );
}

/** Fails if writing `value` into storage born as node `birth` would let a stand-in's value out of its trace. */
export function checkEscape(action: string, value: Node, birth: number): void {
  const trace = traces[traces.length - 1];
  if (trace === undefined || !value.traced || birth >= trace.start) return;
  throw new AutogradError(
    `${action}: a tensor from outside a vectorised function (vmap, jacrev, jacfwd, hessian) cannot be changed in place by a value that ` +
      `differs between examples: clone() it inside the function, or pass it as an argument`,
  );
}

/**
 * What a random operation adds to the number of an element, for each open trace that draws separately for each example: a node that is the
 * example's number, and how many elements apart examples are. Fails where randomness is an error.
 */
export function randomOffsets(op: string, count: number): { readonly node: Node; readonly step: number }[] {
  const result: { node: Node; step: number }[] = [];
  let step = count;
  for (const trace of traces.toReversed()) {
    if (trace.randomness === "error")
      throw new AutogradError(
        `${op}: called inside a vectorised function with randomness "error": say whether every example draws its own numbers ` +
          `({ randomness: "different" }) or all have the same ({ randomness: "same" })`,
      );
    if (trace.randomness === "same" || trace.randomness === "replayed") continue;
    result.push({ node: trace.example, step });
    step *= trace.size;
  }
  return result;
}

/** Fails for an operation that draws on the host, where examples would have to differ. */
export function checkSameRandomness(op: string): void {
  if (traces.some((t) => t.randomness === "replayed"))
    throw new AutogradError(`${op}: draws on the host, and cannot be part of a compiled program`);
  if (randomOffsets(op, 1).length > 0)
    throw new AutogradError(
      `${op}: draws on the host, so examples cannot differ: use { randomness: "same" }, or rand(n).argsort()`,
    );
}

/** How a node reads the number of the example, over its own coordinates. */
export function exampleArg(node: Node, shape: readonly number[]): Arg {
  return { node, view: { shape, strides: shape.map(() => 0), offset: 0 } };
}
