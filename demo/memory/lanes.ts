/** From a timeline to what is drawn of it: lanes, bands and a line, in units of steps and bytes. */

import type { Timeline, TimelineBuffer, TimelineStep, TimelineValue } from "#tapegrad";

/** What memory is for. */
export const KINDS = [
  "parameter",
  "optimiser state",
  "gradient",
  "saved value",
  "temporary",
  "input",
  "output",
] as const;
export type Kind = (typeof KINDS)[number];

/** A value in its lane: from the start of one step to the end of another. */
export interface Stay {
  readonly value: TimelineValue;
  readonly kind: Kind;
  readonly from: number;
  readonly to: number;
}

/** A buffer's lane. */
export interface Lane {
  readonly buffer: TimelineBuffer;
  readonly kind: Kind;
  /** Where it begins and ends, in steps: 1.5 would be the middle of the second one. */
  readonly from: number;
  readonly to: number;
  readonly stays: readonly Stay[];
}

/** Steps of one part of the training step, one behind the other. */
export interface Band {
  readonly phase: TimelineStep["phase"];
  readonly from: number;
  readonly to: number;
}

/** What a value is for. What is read at the end is an output, whatever else it is. */
export function kindOf(value: TimelineValue, steps: readonly TimelineStep[]): Kind {
  switch (value.owner) {
    case "parameter":
    case "gradient":
    case "optimiser state":
      return value.owner;
    case "written in place":
      return "optimiser state";
    default:
  }
  if (value.operation === "tensor") return "input";
  if (value.readBy.some((step) => steps[step]!.kind === "read")) return "output";
  if (value.owner === "saved for backward") return "saved value";
  return value.owner === "retained" || value.owner === "held" ? "output" : "temporary";
}

/** Lanes of all buffers that live at some time between the first step and the last one: by kind, then by when they begin. */
export function lanesOf({ steps, buffers }: Timeline): Lane[] {
  const lanes = buffers.map((buffer): Lane => {
    const to = buffer.to ?? steps.length;
    const stays = buffer.values.map((value): Stay => ({
      value,
      kind: kindOf(value, steps),
      from: value.from,
      to: Math.min(value.to + 1, to),
    }));
    return { buffer, kind: longest(stays), from: buffer.from, to, stays };
  });
  const seen = lanes.filter(({ from, to }) => to > from);
  return seen.sort((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) || a.from - b.from || a.to - b.to);
}

/** The kind that a lane has for the longest time; of equals the first. */
function longest(stays: readonly Stay[]): Kind {
  const time = new Map<Kind, number>();
  for (const { kind, from, to } of stays) time.set(kind, (time.get(kind) ?? 0) + to - from);
  let best: Kind = "temporary";
  let most = 0;
  for (const [kind, length] of time) if (length > most) [best, most] = [kind, length];
  return best;
}

/** Bytes of the lanes that live during each step. */
export function bytesOver(lanes: readonly Lane[], steps: number): number[] {
  return Array.from({ length: steps }, (_, step) =>
    lanes.reduce((sum, { buffer, from, to }) => (from <= step && step < to ? sum + buffer.bytes : sum), 0),
  );
}

/** Bytes of each kind during a step. */
export function bytesByKind(lanes: readonly Lane[], step: number): Map<Kind, number> {
  const result = new Map<Kind, number>(KINDS.map((kind) => [kind, 0]));
  for (const { buffer, from, to, stays, kind } of lanes) {
    if (from > step || step >= to) continue;
    const now = stays.findLast((stay) => stay.from <= step && step < stay.to)?.kind ?? kind;
    result.set(now, result.get(now)! + buffer.bytes);
  }
  return result;
}

/** Neighbouring steps of the same part, as bands. */
export function bandsOf(steps: readonly TimelineStep[]): Band[] {
  const bands: { phase: Band["phase"]; from: number; to: number }[] = [];
  steps.forEach(({ phase }, i) => {
    const last = bands.at(-1);
    if (last?.phase === phase) last.to = i + 1;
    else bands.push({ phase, from: i, to: i + 1 });
  });
  return bands;
}

/** Bytes for people. */
export function showBytes(bytes: number): string {
  if (bytes < 2 ** 10) return `${bytes} B`;
  if (bytes < 2 ** 20) return `${(bytes / 2 ** 10).toFixed(1)} KiB`;
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

/** What a step does, for people, such as "matmul (kernel 3)". */
export function showStep(step: TimelineStep, position: number): string {
  return `${step.operations.join(", ")} (${step.kind} ${position + 1})`;
}
