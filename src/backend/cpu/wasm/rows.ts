/** The loop over rows: coordinates in all of `rowDims`, in order. */

import type { BodyWriter, Positions } from "./body.ts";
import type { Local } from "./emitter.ts";

/** Coordinates of row number `row`, and the positions there. */
export function atRow(body: BodyWriter, row: Local): { coordinates: Local[]; positions: Positions } {
  const { f } = body;
  const { rowDims } = body.walk;
  const coordinates: Local[] = [];
  let rest = row;
  for (let k = rowDims.length - 1; k >= 0; k--) {
    const size = body.sizes[rowDims[k]!]!;
    if (k === 0) coordinates[0] = rest;
    else {
      coordinates[k] = f.op("i32.rem_u", [rest, size]);
      rest = f.op("i32.div_u", [rest, size]);
    }
  }
  const positions = body.origin();
  rowDims.forEach((d, k) => body.enter(positions, d, coordinates[k]!));
  return { coordinates, positions };
}

/** Runs `within` for the rows from `start` to `end`. */
export function forRows(body: BodyWriter, start: Local, end: Local, within: (positions: Positions) => void): void {
  const { f } = body;
  const { rowDims } = body.walk;
  const { coordinates, positions } = atRow(body, start);
  const own = coordinates.map((coordinate) => {
    const copy = f.local("i32");
    f.copy(copy, coordinate);
    return copy;
  });
  const row = f.local("i32");
  f.copy(row, start);
  const last = rowDims.length - 1;
  f.forLoop(row, end, 1, () => {
    within(positions);
    if (last < 0) return;
    body.move(positions, rowDims[last]!, 1);
    if (last > 0) carry(body, own, positions, last);
  });
}

/** Counts a coordinate up, and at the end of its dimension goes on to the next one. */
function carry(body: BodyWriter, coordinates: readonly Local[], positions: Positions, k: number): void {
  const { f } = body;
  const { rowDims } = body.walk;
  const d = rowDims[k]!;
  f.assign(coordinates[k]!, "i32.add", [coordinates[k]!, f.const("i32", 1)]);
  if (k === 0) return;
  f.if(f.op("i32.eq", [coordinates[k]!, body.sizes[d]!]), () => {
    f.setConst(coordinates[k]!, 0);
    body.rewind(positions, d);
    body.move(positions, rowDims[k - 1]!, 1);
    carry(body, coordinates, positions, k - 1);
  });
}
