/** Elementwise kernels that go on with the result of a product or a convolution become part of it, so that the result is never in memory. */

import type { FusedStructure, RoutineStructure } from "./kernel.ts";
import type { Node } from "./node.ts";
import type { Step } from "./schedule.ts";
import { contiguousStrides, numel } from "./view.ts";

type RoutineStep = Extract<Step, { kind: "routine" }>;
type FusedStep = Extract<Step, { kind: "fused" }>;

/** What has to be known of the schedule. */
export interface EpilogueContext {
  readonly targets: ReadonlySet<Node>;
  /** In-place results that live in the memory of their base. */
  readonly takesOver: ReadonlyMap<Node, Node>;
  fuses(routine: RoutineStructure, work: FusedStructure, elements: number): boolean;
}

const ROUTINES: ReadonlySet<string> = new Set(["matmul", "conv"]);

/** The steps, in order, with routines moved into the kernels that alone read their results. */
export function fuseEpilogues(steps: readonly Step[], context: EpilogueContext): Step[] {
  const users = new Map<Node, number[]>();
  steps.forEach((step, i) => {
    for (const node of new Set(buffersOf(step))) {
      const list = users.get(node);
      if (list === undefined) users.set(node, [i]);
      else list.push(i);
    }
  });
  const bases = new Set(context.takesOver.values());
  const result: (Step | null)[] = [...steps];
  steps.forEach((step, at) => {
    if (step.kind !== "routine" || !ROUTINES.has(step.structure.name)) return;
    const node = step.anchors[0]!;
    if (context.targets.has(node) || context.takesOver.has(node) || bases.has(node)) return;
    const [, reader, ...others] = users.get(node)!;
    if (reader === undefined || others.length > 0) return;
    // Another routine may have been moved there before.
    const work = result[reader]!;
    if (work.kind !== "fused" || !isElementwise(work, node)) return;
    if (overwritesInputs(step, steps.slice(at + 1, reader + 1), context)) return;
    const elements = Math.max(node.numel, ...work.kernel.buffers.map((b) => b.numel));
    if (!context.fuses(step.structure, work.kernel.structure, elements)) return;
    result[reader] = merged(step, work, node);
    result[at] = null;
  });
  return result.filter((step) => step !== null);
}

function buffersOf(step: Step): readonly Node[] {
  return step.kind === "fused" ? step.kernel.buffers : step.buffers;
}

/** True if the kernel goes through the elements of `node` in order and reads each at its place. */
function isElementwise({ kernel }: FusedStep, node: Node): boolean {
  const { structure, outer, strides, offsets } = kernel;
  if (structure.innerRank > 0 || structure.usesStatus || numel(outer) !== node.numel) return false;
  const buffer = kernel.buffers.indexOf(node);
  if (structure.instrs.some((i) => i.op === "loadAt" && i.imm === buffer)) return false;
  const inOrder = contiguousStrides(outer);
  return structure.accesses.every(
    (access, i) =>
      access.buffer !== buffer || (offsets[i] === 0 && inOrder.every((s, d) => outer[d] === 1 || strides[i]![d] === s)),
  );
}

/** True if what a routine reads would not be there any more behind these steps, or is written by the last of them. */
function overwritesInputs(step: RoutineStep, others: readonly Step[], { takesOver }: EpilogueContext): boolean {
  const rootOf = (node: Node): Node => {
    let root = node;
    for (let base = takesOver.get(root); base !== undefined; base = takesOver.get(root)) root = base;
    return root;
  };
  const read = new Set(step.buffers.slice(0, -1).map(rootOf));
  return others.some((other) => {
    const { buffers } = other.kind === "fused" ? other.kernel.structure : other.structure;
    return buffersOf(other).some((node, i) => buffers[i]!.mode !== "read" && read.has(rootOf(node)));
  });
}

function merged(step: RoutineStep, { kernel, anchors }: FusedStep, node: Node): RoutineStep {
  const result = kernel.buffers.indexOf(node);
  const isOther = (_: unknown, i: number): boolean => i !== result;
  const { outer, inner, strides, offsets, scalars } = kernel;
  return {
    kind: "routine",
    structure: {
      ...step.structure,
      key: `${step.structure.key}, then ${result} of ${kernel.structure.key}`,
      buffers: [...step.structure.buffers.slice(0, -1), ...kernel.structure.buffers.filter(isOther)],
      epilogue: { structure: kernel.structure, result },
    },
    ints: step.ints,
    epilogue: { outer, inner, strides, offsets },
    scalars,
    buffers: [...step.buffers.slice(0, -1), ...kernel.buffers.filter(isOther)],
    anchors,
  };
}
