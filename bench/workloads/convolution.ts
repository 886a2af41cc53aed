/** Convolutions of images, forward and with both gradients. */

import type { HostArray } from "../support/random.ts";
import { ErrorMeter, samplePositions } from "./reference.ts";
import { bytesOf, normal, product, type Workload } from "./workload.ts";

interface Convolution {
  readonly batch: number;
  readonly channels: number;
  readonly size: number;
  readonly filters: number;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
  readonly quick?: boolean;
}

/** A term of a sum at one place of one array: which elements are multiplied. */
type Terms = (visit: (a: number, b: number) => void) => void;

function noteSum(meter: ErrorMeter, value: number | undefined, terms: Terms): void {
  let sum = 0;
  let size = 0;
  terms((a, b) => {
    sum += a * b;
    size += Math.abs(a * b);
  });
  meter.note(value, sum, 1e-5 * size + 1e-12);
}

function convolution(c: Convolution): Workload[] {
  const { batch, channels, size, filters, kernel, stride, padding, quick = false } = c;
  const out = Math.floor((size + 2 * padding - kernel) / stride) + 1;
  const x = [batch, channels, size, size];
  const w = [filters, channels, kernel, kernel];
  const y = [batch, filters, out, out];
  const forward = [normal(x), normal(w)];
  const backward = [...forward, normal(y)];
  const flops = 2 * product(y) * channels * kernel * kernel;
  const name = `${batch}x${channels}x${size}x${size}-k${kernel}s${stride}-${filters}`;
  const title = `[${x.join(", ")}], ${filters} filters of ${kernel}x${kernel}, stride ${stride}`;

  const xAt = (a: HostArray, n: number, ch: number, row: number, column: number): number =>
    row < 0 || column < 0 || row >= size || column >= size ? 0 : a[((n * channels + ch) * size + row) * size + column]!;
  const wAt = (a: HostArray, f: number, ch: number, i: number, j: number): number =>
    a[((f * channels + ch) * kernel + i) * kernel + j]!;
  const yAt = (a: HostArray, n: number, f: number, row: number, column: number): number =>
    a[((n * filters + f) * out + row) * out + column]!;

  const checkForward = (meter: ErrorMeter, inputs: readonly HostArray[], values: Float32Array | undefined): void => {
    for (const at of samplePositions(product(y), 100)) {
      const [n, f, row, column] = unravel(at, y);
      noteSum(meter, values?.[at], (visit) => {
        for (let ch = 0; ch < channels; ch++)
          for (let i = 0; i < kernel; i++)
            for (let j = 0; j < kernel; j++)
              visit(
                xAt(inputs[0]!, n!, ch, row! * stride + i - padding, column! * stride + j - padding),
                wAt(inputs[1]!, f!, ch, i, j),
              );
      });
    }
  };
  const checkInputGradient = (meter: ErrorMeter, [, weights, g]: readonly HostArray[], dx?: Float32Array): void => {
    for (const at of samplePositions(product(x), 100)) {
      const [n, ch, row, column] = unravel(at, x);
      noteSum(meter, dx?.[at], (visit) => {
        for (let i = 0; i < kernel; i++)
          for (let j = 0; j < kernel; j++) {
            const r = (row! + padding - i) / stride;
            const q = (column! + padding - j) / stride;
            if (!Number.isInteger(r) || !Number.isInteger(q) || r < 0 || q < 0 || r >= out || q >= out) continue;
            for (let f = 0; f < filters; f++) visit(yAt(g!, n!, f, r, q), wAt(weights!, f, ch!, i, j));
          }
      });
    }
  };
  const checkWeightGradient = (meter: ErrorMeter, [images, , g]: readonly HostArray[], dw?: Float32Array): void => {
    for (const at of samplePositions(product(w), 16)) {
      const [f, ch, i, j] = unravel(at, w);
      noteSum(meter, dw?.[at], (visit) => {
        for (let n = 0; n < batch; n++)
          for (let r = 0; r < out; r++)
            for (let q = 0; q < out; q++)
              visit(xAt(images!, n, ch!, r * stride + i! - padding, q * stride + j! - padding), yAt(g!, n, f!, r, q));
      });
    }
  };
  return [
    {
      id: `conv-${name}`,
      title: `convolution of ${title}`,
      task: { op: "conv2d", stride, padding },
      inputs: forward,
      flops,
      bytes: bytesOf(forward, [y]),
      bound: "compute",
      quick,
      check(inputs, [values]) {
        const meter = new ErrorMeter();
        checkForward(meter, inputs, values);
        return meter.worst;
      },
    },
    {
      id: `conv-grad-${name}`,
      title: `convolution and both gradients of ${title}`,
      task: { op: "conv2dBackward", stride, padding },
      inputs: backward,
      flops: 3 * flops,
      bytes: bytesOf(backward, [y, x, w]),
      bound: "compute",
      quick,
      check(inputs, [values, dx, dw]) {
        const meter = new ErrorMeter();
        checkForward(meter, inputs, values);
        checkInputGradient(meter, inputs, dx);
        checkWeightGradient(meter, inputs, dw);
        return meter.worst;
      },
    },
  ];
}

function unravel(at: number, shape: readonly number[]): number[] {
  const result = new Array<number>(shape.length);
  let rest = at;
  for (let d = shape.length - 1; d >= 0; d--) {
    result[d] = rest % shape[d]!;
    rest = Math.floor(rest / shape[d]!);
  }
  return result;
}

/** The first layer of a residual network, two of its middle layers, and a small one for the short run. */
export const convolutions: readonly Workload[] = [
  ...convolution({ batch: 8, channels: 16, size: 28, filters: 32, kernel: 3, stride: 1, padding: 1, quick: true }),
  ...convolution({ batch: 64, channels: 3, size: 224, filters: 64, kernel: 7, stride: 2, padding: 3 }),
  ...convolution({ batch: 32, channels: 64, size: 56, filters: 64, kernel: 3, stride: 1, padding: 1 }),
  ...convolution({ batch: 256, channels: 128, size: 28, filters: 128, kernel: 3, stride: 1, padding: 1 }),
];
