/** Images as tensors and back, and indices drawn by weight. */

import * as tg from "#tapegrad";
import { ensure, expectClose, expectEqual, expectThrows, suite } from "../support/portable.ts";

/** Two pixels beside each other, and two below. */
const BYTES = [255, 0, 51, 255, 0, 102, 0, 255, 1, 2, 3, 255, 250, 251, 252, 255];
const pixels = (): tg.Pixels => ({ width: 1, height: 4, data: Uint8ClampedArray.from(BYTES) });
const RED = [255, 0, 1, 250];

/** A canvas of those pixels, where canvases can be drawn on (Deno's cannot). */
function canvas(): OffscreenCanvas | null {
  if (typeof OffscreenCanvas === "undefined") return null;
  const made = new OffscreenCanvas(1, 4);
  const context = made.getContext("2d");
  if (context === null) return null;
  context.putImageData(new ImageData(Uint8ClampedArray.from(BYTES), 1, 4), 0, 0);
  return made;
}

export const images = suite("images", {
  "pixels become channels of 0 to 1, or bytes as they are": async () => {
    const x = tg.fromImage(pixels());
    expectEqual([x.dtype, [...x.shape]], ["float32", [3, 4, 1]]);
    expectClose(await x.at(0).flatten().toArray(), RED.map((v) => v / 255)); // prettier-ignore
    const y = tg.fromImage(pixels(), { layout: "HWC", dtype: "uint8", channels: 4 });
    expectEqual([y.dtype, [...y.shape], Array.from(await y.data())], ["uint8", [4, 1, 4], BYTES]);
    const grey = tg.fromImage(pixels(), { channels: 1, requiresGrad: true });
    expectEqual([grey.requiresGrad, [...grey.shape]], [true, [1, 4, 1]]);
    const copied = pixels();
    const z = tg.fromImage(copied, { dtype: "uint8", channels: 1 });
    copied.data.fill(9);
    expectEqual(Array.from(await z.data()), RED);
  },

  "tensors become pixels": async () => {
    for (const layout of ["CHW", "HWC"] as const)
      for (const dtype of ["float32", "uint8", "int32"] as const) {
        const { width, height, data } = await tg.toImageData(tg.fromImage(pixels(), { layout, dtype }), { layout });
        expectEqual([width, height, Array.from(data)], [1, 4, BYTES], `${layout} ${dtype}`);
      }
    const grey = await tg.toImageData(tg.tensor([[-1, 0.5, 2, NaN]]));
    expectEqual([grey.width, grey.height], [4, 1]);
    expectEqual(Array.from(grey.data), [0, 0, 0, 255, 128, 128, 128, 255, 255, 255, 255, 255, 0, 0, 0, 255]);
    const mask = await tg.toImageData(tg.tensor([[true], [false]]));
    expectEqual(Array.from(mask.data), [255, 255, 255, 255, 0, 0, 0, 255]);
    const clear = await tg.toImageData(tg.tensor([0.2, 0.4, 0.6, 0]).reshape(4, 1, 1));
    expectEqual(Array.from(clear.data), [51, 102, 153, 0]);
  },

  "what a canvas can draw is read, and else the error says what to pass": async () => {
    const source = canvas();
    if (source === null) {
      await expectThrows(
        () => tg.fromImage({ width: 1, height: 1 }),
        /: fromImage: there is no canvas here .*Uint8ClampedArray/,
      );
      return;
    }
    const want = Array.from(await tg.fromImage(pixels()).data());
    expectEqual(Array.from(await tg.fromImage(source).data()), want);
    const bitmap = await createImageBitmap(source);
    expectEqual(Array.from(await tg.fromImage(bitmap).data()), want);
    const data = source.getContext("2d")!.getImageData(0, 0, 1, 4);
    expectEqual(Array.from(await tg.fromImage(data).data()), want);
    ensure((await tg.toImageData(tg.fromImage(data))) instanceof ImageData, "toImageData gives ImageData in a browser");
    if (typeof document === "undefined") return;
    const element = document.createElement("canvas");
    element.width = 1;
    element.height = 4;
    element.getContext("2d")!.putImageData(data, 0, 0);
    expectEqual(Array.from(await tg.fromImage(element).data()), want);
    const image = new Image();
    await expectThrows(() => tg.fromImage(image), /no pixels .*decode\(\)/);
    image.src = element.toDataURL();
    await image.decode();
    expectEqual(Array.from(await tg.fromImage(image).data()), want);
    await expectThrows(() => tg.fromImage(document.createElement("video")), /no pixels .*loadeddata/);
  },

  "what is no image is an error": async () => {
    const wrong = (value: unknown): object => value as object;
    await expectThrows(() => tg.fromImage(wrong(3)), /: fromImage: expected ImageData.*got 3/);
    await expectThrows(() => tg.fromImage({}), /: fromImage: .*without a size/);
    await expectThrows(
      () => tg.fromImage({ width: 2, height: 4, data: pixels().data }),
      /: fromImage: 2 x 4 pixels take 32 bytes/,
    );
    await expectThrows(() => tg.fromImage(pixels(), { channel: 1 } as object), /: fromImage: unknown option "channel"/);
    await expectThrows(() => tg.fromImage(pixels(), { layout: "NCHW" as "CHW" }), /: fromImage: layout must be/);
    await expectThrows(() => tg.toImageData(tg.ones(2, 3, 3)), /: toImageData: expected \[channels, height, width\]/);
    await expectThrows(() => tg.toImageData(tg.ones(3)), /: toImageData: expected/);
    await expectThrows(() => tg.toImageData(tg.ones(3, 0, 3)), /: toImageData: expected/);
  },
});

export const drawing = suite("multinomial", {
  "draws by weight, with and without replacement": async () => {
    tg.manualSeed(3);
    const weights = tg.tensor([0, 1, 3, 0, 4]);
    const drawn = tg.multinomial(weights, 4000, true);
    expectEqual([drawn.dtype, [...drawn.shape]], ["int32", [4000]]);
    const counts = new Array<number>(5).fill(0);
    for (const i of await drawn.data()) counts[i]!++;
    expectEqual([counts[0], counts[3]], [0, 0]);
    // Five standard deviations of a binomial distribution.
    [0, 1 / 8, 3 / 8, 0, 1 / 2].forEach((p, i) =>
      ensure(
        Math.abs(counts[i]! - 4000 * p) <= 5 * Math.sqrt(4000 * p * (1 - p)),
        `index ${i} was drawn ${counts[i]} times`,
      ),
    );
    const rows = await tg.tensor([[0, 1, 3, 0, 4]]).expand(3000, 5).multinomial(3).toArray(); // prettier-ignore
    const firsts = new Array<number>(5).fill(0);
    for (const row of rows as number[][]) {
      expectEqual(row.toSorted((a, b) => a - b), [1, 2, 4]); // prettier-ignore
      firsts[row[0]!]!++;
    }
    [0, 1 / 8, 3 / 8, 0, 1 / 2].forEach((p, i) =>
      ensure(
        Math.abs(firsts[i]! - 3000 * p) <= 5 * Math.sqrt(3000 * p * (1 - p)),
        `index ${i} came first ${firsts[i]} times`,
      ),
    );
    tg.manualSeed(3);
    expectEqual(await tg.multinomial(weights, 4000, { replacement: true }).data(), await drawn.data());
    expectEqual(await tg.multinomial(tg.tensor([5]), 1).toArray(), [0]);
  },

  "refuses what it cannot draw from": async () => {
    await expectThrows(() => tg.multinomial(tg.ones(3), 4), /: multinomial: cannot draw 4 of 3 without replacement/);
    await expectThrows(() => tg.multinomial(tg.ones(3), 0), /: multinomial: numSamples must be above 0/);
    await expectThrows(() => tg.multinomial(tg.ones(3).int(), 1), /: multinomial: expected a floating/);
    await expectThrows(() => tg.multinomial(tg.ones(1, 2, 3), 1), /: multinomial: weights must have 1 or 2 dimensions/);
    await expectThrows(() => tg.multinomial(tg.ones(0), 1), /: multinomial: there are no weights/);
  },
});
