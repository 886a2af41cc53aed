/** Anomaly detection names the operation that made a NaN, and the line that recorded it. */

import * as tg from "#tapegrad";
import { ensure, expectClose, expectEqual, expectThrows, suite } from "../support/portable.ts";

const { detectAnomaly } = tg.autograd;

/** Anomaly detection. */
export const anomalies = suite("anomalies", {
  "a result that is NaN": async () => {
    const x = tg.tensor([1, -1], { requiresGrad: true });
    const error = await expectThrows(
      () => detectAnomaly(() => x.mul(2).log().exp().sum().backward()),
      "Function 'LogBackward0' gave nan values in its 0th result",
    );
    ensure(/anomaly/.test(error.message), `the line is missing: ${error.message}`);
  },

  "a gradient that is NaN where the result is not": async () => {
    const x = tg.tensor([0, 4], { requiresGrad: true });
    await expectThrows(
      () =>
        detectAnomaly(() =>
          x
            .sqrt()
            .mul(tg.tensor([0, 1]))
            .sum()
            .backward(),
        ),
      "Function 'SqrtBackward0' returned nan values in its 0th output",
    );
  },

  "a value that was overwritten since": async () => {
    const x = tg.tensor([2, -2], { requiresGrad: true });
    await expectThrows(
      () =>
        detectAnomaly(() => {
          const y = x.log();
          y.fill_(1);
          y.sum().backward();
        }),
      "Function 'LogBackward0' gave nan values",
    );
  },

  "nothing is said where there is no NaN, and the result is given": async () => {
    const x = tg.tensor([1, 4], { requiresGrad: true });
    const y = await detectAnomaly(async () => {
      const y = x.sqrt().sum();
      y.backward();
      await y.item();
      return y;
    });
    expectClose(await y.item(), 3);
    expectClose(await x.grad!.toArray(), [0.5, 0.25]);
    expectEqual(await detectAnomaly(() => 7), 7);
  },

  "the body's own error comes through, and detection ends with it": async () => {
    await expectThrows(
      () =>
        detectAnomaly(() => {
          throw new Error("of my own");
        }),
      "of my own",
    );
    const x = tg.tensor([-1], { requiresGrad: true });
    x.sqrt().backward();
    ensure(Number.isNaN((await x.grad!.data())[0]), "the gradient should be NaN, outside of detection");
  },
});
