/** Which values of a plan share memory: two may, if one has served its time before the other is written. */

/** A value of a plan, from the step that writes it to the last one that reads it. */
export interface Life {
  readonly bytes: number;
  readonly first: number;
  /** Infinity for what outlives the plan. */
  readonly last: number;
}

/** A piece of memory of a plan. What is kept may begin in memory that temporaries have used before. */
export interface PlacedSlot {
  readonly bytes: number;
  readonly isKept: boolean;
  /** Position of the life that it was taken for. */
  readonly life: number;
}

interface Filling extends PlacedSlot {
  readonly lives: Life[];
}

/**
 * Places lives in as little memory as is quickly found: what outlives the plan has memory of its own size, which serves temporaries until it is
 * written; those are placed from the largest to the smallest, each into the smallest memory that has time for it. Values of at most `pieceBytes`
 * do not go into memory of more, which a device may have in several pieces. Gives the position of the slot of each life.
 */
export function placeLives(
  lives: readonly Life[],
  pieceBytes = Infinity,
): { readonly slots: readonly PlacedSlot[]; readonly slotOf: readonly number[] } {
  const slots: Filling[] = [];
  const slotOf: number[] = [];
  const temporaries: number[] = [];
  lives.forEach((life, i) => {
    if (life.last === Infinity) slotOf[i] = slots.push({ bytes: life.bytes, isKept: true, life: i, lives: [life] }) - 1;
    else temporaries.push(i);
  });
  temporaries.sort((a, b) => lives[b]!.bytes - lives[a]!.bytes || lives[a]!.first - lives[b]!.first);
  for (const i of temporaries) {
    const life = lives[i]!;
    const mostBytes = life.bytes > pieceBytes ? Infinity : pieceBytes;
    let best = -1;
    slots.forEach((slot, at) => {
      if (slot.bytes < life.bytes || slot.bytes > mostBytes) return;
      if (best >= 0 && slot.bytes >= slots[best]!.bytes) return;
      if (slot.lives.every((other) => other.last < life.first || other.first > life.last)) best = at;
    });
    if (best < 0) best = slots.push({ bytes: life.bytes, isKept: false, life: i, lives: [] }) - 1;
    slots[best]!.lives.push(life);
    slotOf[i] = best;
  }
  return { slots: slots.map(({ bytes, isKept, life }) => ({ bytes, isKept, life })), slotOf };
}
