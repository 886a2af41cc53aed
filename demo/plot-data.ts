/** Curves to plot, in a page or in a terminal. */

/** A curve over the x of its plot. */
export interface Curve {
  readonly name: string;
  readonly y: readonly number[];
  /** Drawn in dashes, so that a curve below it shows. */
  readonly dashed?: boolean;
}

/** Curves over the same x, in ascending order; a value that is not finite is a gap. */
export interface PlotData {
  readonly title: string;
  readonly x: readonly number[];
  /** Where the curves are not defined: no line is drawn across. */
  readonly pole?: number;
  readonly curves: readonly Curve[];
}

/** The plot's points in runs without a gap, for one curve: pieces of its line. */
export function piecesOf({ x, pole }: PlotData, { y }: Curve): [x: number, y: number][][] {
  const pieces: [number, number][][] = [];
  let piece: [number, number][] = [];
  const end = (): void => {
    if (piece.length > 0) pieces.push(piece);
    piece = [];
  };
  x.forEach((at, i) => {
    if (pole !== undefined && i > 0 && x[i - 1]! < pole && at >= pole) end();
    if (Number.isFinite(at) && Number.isFinite(y[i]) && at !== pole) piece.push([at, y[i]!]);
    else end();
  });
  end();
  return pieces;
}
