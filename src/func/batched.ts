/** A function of one example, recorded once and run for a whole batch, with its place on the tape. */

import type { Backend } from "../backend/backend.ts";
import { Impl, Storage, wrap } from "../base.ts";
import { walk } from "../autograd/engine.ts";
import { isGradEnabled } from "../autograd/mode.ts";
import {
  attach,
  edgeOf,
  GradFn,
  metaOf,
  pushSavedTensorHooks,
  record,
  SavedTensor,
  tapePosition,
  type Edge,
  type Grads,
} from "../autograd/tape.ts";
import { isFloat } from "../dtype.ts";
import type { Node } from "../graph/node.ts";
import { beginTrace, endTrace, standIn, type Randomness } from "../graph/trace.ts";
import { Batch, rowsOfView, type Rows } from "../graph/vectorize.ts";
import type { View } from "../graph/view.ts";
import { snapshot } from "../ops/apply.ts";
import type { Tensor } from "../tensor.ts";

/** What the function is given for one example, and where its gradient goes. */
interface Input {
  readonly stand: Tensor;
  readonly edge: Edge | null;
  /** The same value for every example: gradients of all examples add up. */
  readonly shared: boolean;
}

/** A result for one example, and whether the batch's results are to be stacked or summed. */
interface Output {
  readonly value: Tensor;
  readonly sum: boolean;
}

/** A result for the batch, [batch, ...]; and for one example, where `batched` is false because all are the same. */
export interface BatchResult {
  readonly value: Tensor;
  readonly batched: boolean;
  readonly single: Tensor;
}

/** A result's place on the function's own tape. */
interface Root {
  readonly edge: Edge;
  readonly sum: boolean;
}

/** Everything about a recording that its derivative needs. */
interface Recording {
  readonly size: number;
  readonly randomness: Randomness;
  readonly inputs: readonly Input[];
  /** Entries of the tape from this sequence number on belong to the function; earlier ones were there before. */
  readonly position: number;
}

/** Sees part of a node as a tensor off the tape. */
function viewTensor(node: Node, view: View): Tensor {
  return wrap(new Impl(new Storage(node), view, node.dtype));
}

function isTraced(tensor: Tensor): boolean {
  return tensor.impl.storage.node.traced;
}

/** A stand-in for one example of `actual` ([batch, ...]), known to `batch`. */
function standFor(batch: Batch, actual: Tensor): Tensor {
  const { impl } = actual;
  const shape = impl.shape.slice(1);
  const node = standIn(impl.backend, shape, impl.dtype);
  batch.define(node, rowsOfView(impl.storage.node, impl));
  const stand = viewTensor(node, { shape, strides: rowMajor(shape), offset: 0 });
  return stand;
}

function rowMajor(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    strides[d] = step;
    step *= Math.max(shape[d]!, 1);
  }
  return strides;
}

/** The batch of a traced tensor: shape [batch, ...]; off the tape. */
function stacked(batch: Batch, tensor: Tensor): Tensor {
  const { impl } = tensor;
  const rows: Rows | null = batch.rowsOf(impl.storage.node);
  return viewTensor(rows?.node ?? impl.storage.node, batch.viewOf(rows, impl));
}

/** The sum over the batch of a tensor; off the tape. */
function summed(batch: Batch, tensor: Tensor): Tensor {
  const { impl } = tensor;
  const rows = batch.rowsOf(impl.storage.node);
  if (rows === null) return tensor.detach().mul(batch.size);
  return viewTensor(batch.sumOf(impl.storage.node), impl);
}

/**
 * Calls `body` once, on stand-ins for one example of `actuals` ([batch, ...] each), and gives its results for the whole batch, on the tape.
 */
export function runBatched(
  size: number,
  actuals: readonly Tensor[],
  randomness: Randomness,
  body: (stands: readonly Tensor[]) => readonly Tensor[],
): BatchResult[] {
  const { backend } = actuals[0]!.impl;
  const batch = new Batch(size);
  const position = tapePosition();
  return traced(batch, backend, randomness, () => {
    const inputs = actuals.map((actual): Input => {
      const stand = standFor(batch, actual);
      const edge = isGradEnabled() ? edgeOf(actual) : null;
      stand.impl.requiresGrad = edge !== null;
      return { stand, edge, shared: false };
    });
    const values = unhooked(() => body(inputs.map(({ stand }) => (stand.requiresGrad ? liftedFrom(stand) : stand))));
    const recording: Recording = { size, randomness, inputs, position };
    const actualOf = new Map(inputs.map(({ stand }, i) => [stand.impl.storage.node, actuals[i]!]));
    return complete(
      batch,
      recording,
      values.map((value) => ({ value, sum: false })),
      actualOf,
    );
  });
}

/** A stand-in that is no leaf, so that the function may change it in place. */
function liftedFrom(stand: Tensor): Tensor {
  const out = stand.detach();
  record("AliasBackward0", out, [[stand, [], (g) => g]]);
  return out;
}

/** Runs `body` without the user's hooks on saved values: those see the batch's values instead. */
function unhooked<R>(body: () => R): R {
  const restore = pushSavedTensorHooks(null);
  try {
    return body();
  } finally {
    restore();
  }
}

/** Runs `body` inside a trace. */
function traced<R>(batch: Batch, backend: Backend, randomness: Randomness, body: () => R): R {
  const trace = beginTrace(backend, batch.size, randomness);
  batch.defineNumber(trace.example);
  try {
    return body();
  } finally {
    endTrace(trace, (node) => batch.has(node));
  }
}

/** Builds the batch's results and puts them on the tape. */
function complete(
  batch: Batch,
  recording: Recording,
  outs: readonly Output[],
  actualOf: ReadonlyMap<Node, Tensor> = new Map(),
): BatchResult[] {
  const results = outs.map(({ value, sum }): BatchResult => {
    const whole = sum ? summed(batch, value) : stacked(batch, value);
    return { value: whole, batched: sum || batch.rowsOf(value.impl.storage.node) !== null, single: value };
  });
  if (isGradEnabled()) recordBatch(batch, recording, outs, results, actualOf);
  return results;
}

/** What lies between the function's results and what was there before it. */
interface Region {
  /** Places of the tape that were there before the function ran. */
  readonly frontier: readonly Edge[];
  /** Everything that the function's entries saved. */
  readonly saved: readonly Tensor[];
}

function regionOf(roots: readonly Edge[], recording: Recording): Region {
  const stands = new Set<GradFn>();
  for (const { stand } of recording.inputs) if (stand.impl.accumulator !== null) stands.add(stand.impl.accumulator);
  const frontier: Edge[] = [];
  const saved = new Set<Tensor>();
  const seen = new Set<GradFn>();
  const known = new Map<GradFn, Set<number>>();
  const stack = [...roots];
  while (stack.length > 0) {
    const edge = stack.pop()!;
    const { fn, nr } = edge;
    const isLeaf = fn.variable !== null;
    if (isLeaf ? stands.has(fn) || isTraced(fn.variable) : fn.sequence >= recording.position) {
      if (isLeaf || seen.has(fn)) continue;
      seen.add(fn);
      for (const s of fn.saved ?? []) for (const tensor of s.held) saved.add(tensor);
      for (const next of fn.edges) if (next !== null) stack.push(next);
      continue;
    }
    let slots = known.get(fn);
    if (slots === undefined) known.set(fn, (slots = new Set()));
    if (slots.has(nr)) continue;
    slots.add(nr);
    frontier.push(edge);
  }
  return { frontier, saved: [...saved] };
}

/** Records the batch's results as one entry, whose derivative is the vectorised walk over the function's own tape. */
function recordBatch(
  batch: Batch,
  recording: Recording,
  outs: readonly Output[],
  results: readonly BatchResult[],
  actualOf: ReadonlyMap<Node, Tensor>,
): void {
  const { inputs, size } = recording;
  const roots: Root[] = [];
  const attached: Tensor[] = [];
  outs.forEach(({ value, sum }, i) => {
    const edge = isFloat(value.dtype) ? edgeOf(value) : null;
    if (edge === null) return;
    roots.push({ edge, sum });
    attached.push(results[i]!.value);
  });
  if (roots.length === 0) return;
  const region = regionOf(
    roots.map((r) => r.edge),
    recording,
  );
  const wanted = inputs.filter((input) => input.edge !== null);
  const edges = [...wanted.map((input) => input.edge!), ...region.frontier];
  if (edges.length === 0) return;
  const savedNodes = region.saved.map((t) => (isTraced(t) ? t.impl.storage.node : null));
  const nodes = [...new Set(savedNodes.filter((n): n is Node => n !== null && batch.rowsOf(n) !== null))];
  const plain = region.saved.filter((t) => !isTraced(t) || batch.rowsOf(t.impl.storage.node) === null);
  // The arguments themselves are saved as they are, so that changing them in place is noticed.
  const wholes = nodes.map(
    (node) =>
      actualOf.get(node) ??
      stacked(batch, viewTensor(node, { shape: node.shape, strides: rowMajor(node.shape), offset: 0 })),
  );
  let live: readonly Root[] | null = roots;
  const { backend } = attached[0]!.impl;
  const fn = new GradFn({
    name: "VmapBackward0",
    edges,
    results: attached.map(metaOf),
    saved: [...wholes, ...plain].map((t) => new SavedTensor(t, -1)),
    onRelease: () => (live = null),
    apply: (grads, saved, needed) => {
      if (live === null) return edges.map(() => null);
      const again = new Batch(size);
      nodes.forEach((node, i) => again.define(node, rowsOfView(saved[i]!.impl.storage.node, saved[i]!.impl)));
      return batchedWalk(again, backend, recording, live, region.frontier, wanted, grads, needed);
    },
  });
  attached.forEach((out, i) => attach(out, fn, i));
}

/** Gradients of the function's inputs and of what it used from outside, for the batch. */
function batchedWalk(
  batch: Batch,
  backend: Backend,
  recording: Recording,
  ends: readonly Root[],
  frontier: readonly Edge[],
  wanted: readonly Input[],
  grads: Grads,
  needed: readonly boolean[],
): Grads {
  return traced(batch, backend, recording.randomness, () => {
    const seeds: Tensor[] = [];
    const roots: Edge[] = [];
    const added: Input[] = [];
    ends.forEach(({ edge, sum }, i) => {
      const g = grads[i];
      if (g == null) return;
      const stand = sum ? snapshot(g) : standFor(batch, g);
      const gradEdge = isGradEnabled() ? edgeOf(g) : null;
      stand.impl.requiresGrad = gradEdge !== null;
      seeds.push(stand);
      roots.push(edge);
      added.push({ stand, edge: gradEdge, shared: sum });
    });
    const targets = [...wanted.map((input) => edgeOf(input.stand)!), ...frontier];
    const positions = targets.flatMap((_, i) => (needed[i] ? [i] : []));
    const found = unhooked(() =>
      walk(roots, seeds, {
        retainGraph: true,
        createGraph: isGradEnabled(),
        capture: positions.map((i) => targets[i]!),
        accumulate: false,
        stop: new Set(frontier.map((e) => e.fn)),
      }),
    );
    const outs: Output[] = [];
    const places: number[] = [];
    found.forEach((value, j) => {
      if (value === null) return;
      const i = positions[j]!;
      places.push(i);
      outs.push({ value, sum: i >= wanted.length || wanted[i]!.shared });
    });
    const next: Recording = { ...recording, inputs: [...recording.inputs, ...added] };
    const results = complete(batch, next, outs);
    const answer: Grads = targets.map(() => null);
    results.forEach(({ value }, j) => (answer[places[j]!] = value));
    return answer;
  });
}
