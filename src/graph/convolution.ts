/**
 * The numbers of the routine `conv`, named. Forward convolution and both of its derivatives are this one sum with other strides:
 *
 *   out[g, n, o, y] = sum over c and k of input[g, n, c, (y * stride + k * dilation - padding) / divisor] * weight[g, o, c, k]
 *
 * over the positions that are integers inside the input. Forward: divisor 1. Derivative by the input (transposed convolution):
 * stride 1, negative dilation and padding, divisor = the stride. Derivative by the weight: batch and channels, and kernel
 * and output positions, change places.
 */

/** Where an operand lies: element offset, then strides. */
export interface ConvSide {
  readonly offset: number;
  readonly group: number;
  /** Batch of input and output, output channel of the weight. */
  readonly outer: number;
  /** Input channel of input and weight, output channel of the output. */
  readonly channel: number;
  readonly spatial: readonly number[];
}

/** One call. Spatial lists have one entry a spatial dimension. */
export interface Conv {
  readonly groups: number;
  readonly batch: number;
  /** Channels of one group. */
  readonly inChannels: number;
  readonly outChannels: number;
  readonly input: readonly number[];
  readonly kernel: readonly number[];
  readonly output: readonly number[];
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  readonly padding: readonly number[];
  readonly divisor: readonly number[];
  readonly from: ConvSide;
  readonly weight: ConvSide;
  readonly to: ConvSide;
}

const LISTS = ["input", "kernel", "output", "stride", "dilation", "padding", "divisor"] as const;
const SIDES = ["from", "weight", "to"] as const;

/** The numbers in the order in which the routine takes them. */
export function packConv(c: Conv): number[] {
  const side = (s: ConvSide): number[] => [s.offset, s.group, s.outer, s.channel, ...s.spatial];
  return [
    c.groups,
    c.batch,
    c.inChannels,
    c.outChannels,
    ...LISTS.flatMap((name) => c[name]),
    ...SIDES.flatMap((name) => side(c[name])),
  ];
}

/** What `packConv` packed, for `rank` spatial dimensions. */
export function unpackConv(ints: readonly number[], rank: number): Conv {
  const [groups, batch, inChannels, outChannels] = ints as [number, number, number, number];
  let at = 4;
  const next = (count: number): readonly number[] => ints.slice(at, (at += count));
  const [input, kernel, output, stride, dilation, padding, divisor] = LISTS.map(() => next(rank)) as [
    readonly number[],
    readonly number[],
    readonly number[],
    readonly number[],
    readonly number[],
    readonly number[],
    readonly number[],
  ];
  const side = (): ConvSide => {
    const [offset, group, outer, channel] = next(4) as [number, number, number, number];
    return { offset, group, outer, channel, spatial: next(rank) };
  };
  const [from, weight, to] = [side(), side(), side()];
  return {
    groups,
    batch,
    inChannels,
    outChannels,
    input,
    kernel,
    output,
    stride,
    dilation,
    padding,
    divisor,
    from,
    weight,
    to,
  };
}

/** Output positions of one remainder by the divisor, and the kernel positions that meet integers there. */
interface Phase {
  readonly first: number;
  readonly count: number;
  readonly kernelFirst: number;
  readonly kernelStep: number;
  readonly kernelCount: number;
  readonly dilation: number;
  readonly padding: number;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

function phasesOf(c: Conv, d: number): Phase[] {
  const [divisor, dilation, padding] = [c.divisor[d]!, c.dilation[d]!, c.padding[d]!];
  const [kernel, output] = [c.kernel[d]!, c.output[d]!];
  if (divisor > 1 && c.stride[d] !== 1) throw new Error("conv: a stride and a divisor in one dimension");
  const step = divisor / gcd(divisor, Math.abs(dilation));
  const phases: Phase[] = [];
  for (let first = 0; first < Math.min(divisor, output); first++) {
    const count = Math.ceil((output - first) / divisor);
    let kernelFirst = 0;
    while (kernelFirst < Math.min(step, kernel) && (first + kernelFirst * dilation - padding) % divisor !== 0)
      kernelFirst++;
    const meets = kernelFirst < Math.min(step, kernel);
    phases.push({
      first,
      count,
      kernelFirst: meets ? kernelFirst : 0,
      kernelStep: step,
      kernelCount: meets ? Math.ceil((kernel - kernelFirst) / step) : 0,
      dilation: (step * dilation) / divisor,
      padding: meets ? -(first + kernelFirst * dilation - padding) / divisor : 0,
    });
  }
  return phases;
}

/**
 * The same as convolutions with divisor 1, each for the output positions of one remainder: no work is spent on the zeros
 * between the elements of a spread input. A kernel size of 0 stands for an output of zeros.
 */
export function convPhases(c: Conv): Conv[] {
  if (c.divisor.every((l) => l === 1)) return [c];
  let result: Conv[] = [c];
  const at = <T>(list: readonly T[], d: number, value: T): T[] => list.map((old, i) => (i === d ? value : old));
  for (let d = 0; d < c.divisor.length; d++) {
    const divisor = c.divisor[d]!;
    if (divisor === 1) continue;
    const phases = phasesOf(c, d);
    result = result.flatMap((one) =>
      phases.map((p) => ({
        ...one,
        kernel: at(one.kernel, d, p.kernelCount),
        output: at(one.output, d, p.count),
        dilation: at(one.dilation, d, p.dilation),
        padding: at(one.padding, d, p.padding),
        divisor: at(one.divisor, d, 1),
        weight: {
          ...one.weight,
          offset: one.weight.offset + p.kernelFirst * one.weight.spatial[d]!,
          spatial: at(one.weight.spatial, d, one.weight.spatial[d]! * p.kernelStep),
        },
        to: {
          ...one.to,
          offset: one.to.offset + p.first * one.to.spatial[d]!,
          spatial: at(one.to.spatial, d, one.to.spatial[d]! * divisor),
        },
      })),
    );
  }
  return result;
}

/** The same with three spatial dimensions, the new ones of size one. */
export function widenConv(c: Conv): Conv {
  const lead = 3 - c.input.length;
  if (lead === 0) return c;
  const wide = (list: readonly number[], value: number): number[] => [...new Array<number>(lead).fill(value), ...list];
  const side = (s: ConvSide): ConvSide => ({ ...s, spatial: wide(s.spatial, 0) });
  return {
    ...c,
    input: wide(c.input, 1),
    kernel: wide(c.kernel, 1),
    output: wide(c.output, 1),
    stride: wide(c.stride, 1),
    dilation: wide(c.dilation, 1),
    padding: wide(c.padding, 0),
    divisor: wide(c.divisor, 1),
    from: side(c.from),
    weight: side(c.weight),
    to: side(c.to),
  };
}
