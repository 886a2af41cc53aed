/** Memory that values of a plan share. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { placeLives, type Life } from "../../src/graph/placement.ts";

const life = (bytes: number, first: number, last: number): Life => ({ bytes, first, last });

describe("unit: values of a plan share memory", () => {
  it("lets a temporary use the memory of a result that is written later", () => {
    const { slots, slotOf } = placeLives([life(16, 0, 1), life(64, 2, Infinity)]);
    expect(slots).toEqual([{ bytes: 64, isKept: true, life: 1 }]);
    expect(slotOf).toEqual([0, 0]);
  });

  it("does not where a kernel reads the one and writes the other", () => {
    const { slots } = placeLives([life(16, 0, 2), life(64, 2, Infinity)]);
    expect(slots.map((s) => s.bytes)).toEqual([64, 16]);
  });

  it("keeps what fits into one piece out of memory in several", () => {
    expect(placeLives([life(16, 0, 1), life(64, 2, Infinity)], 32).slots).toHaveLength(2);
    expect(placeLives([life(48, 0, 1), life(64, 2, Infinity)], 32).slots).toHaveLength(1);
  });

  it("never gives memory to two values at once, nor to one that it does not hold", () => {
    const lives = fc.array(
      fc
        .tuple(fc.integer({ min: 0, max: 100 }), fc.nat(20), fc.nat(8), fc.boolean())
        .map(([bytes, first, length, isKept]) => life(bytes, first, isKept ? Infinity : first + length)),
      { maxLength: 24 },
    );
    fc.assert(
      fc.property(lives, fc.constantFrom(Infinity, 50), (given, pieceBytes) => {
        const { slots, slotOf } = placeLives(given, pieceBytes);
        given.forEach((a, i) => {
          const slot = slots[slotOf[i]!]!;
          expect(slot.bytes).toBeGreaterThanOrEqual(a.bytes);
          if (a.last === Infinity) expect(slot).toEqual({ bytes: a.bytes, isKept: true, life: i });
          if (a.bytes <= pieceBytes) expect(slot.bytes).toBeLessThanOrEqual(pieceBytes);
          given.slice(i + 1).forEach((b, k) => {
            if (slotOf[i] === slotOf[i + 1 + k]) expect(a.last < b.first || b.last < a.first).toBe(true);
          });
        });
        const most = given.reduce((sum, { bytes }) => sum + bytes, 0);
        expect(slots.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(most);
      }),
    );
  });
});
