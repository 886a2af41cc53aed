/** Which part of a training step recorded what, for tools that tell. */

/** Part of a training step. */
export type Phase = "forward" | "backward" | "step";

type PhaseListener = (phase: Phase, from: number, to: number) => void;

let listener: PhaseListener | null = null;

/** Tells that the nodes with ids above `from`, up to `to`, were recorded by `phase`. */
export function notePhase(phase: Phase, from: number, to: number): void {
  listener?.(phase, from, to);
}

/** Sets who hears of phases (null: nobody); gives who did before. */
export function listenForPhases(next: PhaseListener | null): PhaseListener | null {
  const before = listener;
  listener = next;
  return before;
}
