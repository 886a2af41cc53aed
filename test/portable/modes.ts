/** Grad modes: noGrad, enableGrad, inferenceMode, as functions and as guards. */

import * as tg from "#tapegrad";
import { ensure, expectEqual, expectThrows, suite } from "../support/portable.ts";
import { gradOf, leaf } from "./backward.ts";

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

/** A promise that is settled from outside. */
function gate(): { opened: Promise<void>; open: () => void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

export const modes = suite("grad modes", {
  "noGrad records nothing and gives what its body gives": async () => {
    const x = leaf([1, 2]);
    const y = tg.noGrad(() => {
      ensure(!tg.isGradEnabled(), "recording is off inside");
      return x.mul(2);
    });
    ensure(tg.isGradEnabled(), "recording is on again");
    expectEqual([y.requiresGrad, y.isLeaf, y.gradFn], [false, true, null]);
    expectEqual(await y.toArray(), [2, 4]);
    expectEqual(tg.noGrad(() => 5), 5); // prettier-ignore
  },

  "modes nest": () => {
    const x = leaf([1, 2]);
    tg.noGrad(() => {
      ensure(!x.mul(2).requiresGrad, "noGrad");
      tg.enableGrad(() => {
        ensure(tg.isGradEnabled() && x.mul(2).requiresGrad, "enableGrad inside noGrad");
        tg.noGrad(() => ensure(!x.mul(2).requiresGrad, "noGrad inside enableGrad"));
        ensure(x.mul(2).requiresGrad, "after the inner noGrad");
      });
      ensure(!x.mul(2).requiresGrad, "after enableGrad");
    });
    ensure(x.mul(2).requiresGrad, "after all");
  },

  "a mode ends when its body throws": async () => {
    await expectThrows(
      () =>
        tg.noGrad(() => {
          throw new Error("from inside");
        }),
      "from inside",
    );
    ensure(tg.isGradEnabled(), "recording is on again");
    await expectThrows(() => tg.noGrad(() => Promise.reject(new Error("late"))), "late");
    ensure(tg.isGradEnabled(), "recording is on again after a rejection");
  },

  "an asynchronous body keeps its mode until its promise settles": async () => {
    const x = leaf([1, 2]);
    const { opened, open } = gate();
    const running = tg.noGrad(async () => {
      await opened;
      return x.mul(2);
    });
    ensure(running instanceof Promise, "noGrad gives the promise");
    ensure(!tg.isGradEnabled(), "the mode holds while the body waits");
    open();
    const y = await running;
    ensure(!y.requiresGrad, "the body ran under the mode");
    ensure(tg.isGradEnabled(), "the mode ended with it");
  },

  "asynchronous bodies may nest": async () => {
    await tg.noGrad(async () => {
      await turn();
      await tg.enableGrad(async () => {
        await turn();
        ensure(tg.isGradEnabled(), "inner");
      });
      ensure(!tg.isGradEnabled(), "outer");
    });
    ensure(tg.isGradEnabled(), "after");
  },

  "overlapping asynchronous bodies throw, and recording goes on": async () => {
    const [first, second] = [gate(), gate()];
    const outer = tg.noGrad(() => first.opened);
    const inner = tg.noGrad(() => second.opened);
    first.open();
    await expectThrows(() => outer, /grad modes overlap.*await the first before starting the second/);
    second.open();
    await expectThrows(() => inner, "grad modes overlap");
    ensure(tg.isGradEnabled(), "recording is on again");
    ensure(leaf([1]).mul(2).requiresGrad, "and operations are recorded");
    tg.noGrad(() => ensure(!tg.isGradEnabled(), "modes work as before"));
    ensure(tg.isGradEnabled(), "and end as before");
  },

  "a mode is a guard for using": () => {
    const x = leaf([1, 2]);
    {
      using _ = tg.noGrad();
      ensure(!x.mul(2).requiresGrad, "noGrad");
      {
        using _inner = tg.enableGrad();
        ensure(x.mul(2).requiresGrad, "enableGrad");
      }
      ensure(!tg.isGradEnabled(), "after the inner block");
    }
    ensure(tg.isGradEnabled(), "after the block");
    {
      using _ = tg.inferenceMode();
      ensure(tg.isInferenceModeEnabled() && !tg.isGradEnabled(), "inferenceMode");
    }
    ensure(!tg.isInferenceModeEnabled() && tg.isGradEnabled(), "after inferenceMode");
    const guard = tg.noGrad();
    guard.exit();
    guard.exit();
    ensure(tg.isGradEnabled(), "a guard ends once");
  },

  "setGradEnabled switches for good, within the enclosing mode": () => {
    tg.setGradEnabled(false);
    ensure(!leaf([1]).mul(2).requiresGrad, "off");
    tg.setGradEnabled(true);
    ensure(leaf([1]).mul(2).requiresGrad, "on");
    tg.noGrad(() => tg.setGradEnabled(true));
    ensure(tg.isGradEnabled(), "after a mode inside which it was set");
    tg.enableGrad(() => tg.setGradEnabled(false));
    ensure(tg.isGradEnabled(), "the mode's end undoes it");
  },

  "leaves made under noGrad can still require grad": async () => {
    const x = tg.noGrad(() => tg.ones(2).requiresGrad_());
    ensure(x.requiresGrad && x.isLeaf, "it is a leaf");
    x.mul(2).sum().backward();
    expectEqual(await gradOf(x), [2, 2]);
  },

  "a leaf may be changed in place under noGrad": async () => {
    const x = leaf([1, 2]);
    x.mul(x).sum().backward();
    tg.noGrad(() => x.sub_(x.grad!.mul(0.5)));
    expectEqual(await x.toArray(), [0, 0]);
    ensure(x.isLeaf && x.requiresGrad, "it stays a leaf");
    x.grad!.zero_();
    x.add(1).square().sum().backward();
    expectEqual(await gradOf(x), [2, 2]);
  },

  "backward under noGrad works on what was recorded before": async () => {
    const x = leaf([1, 2]);
    const y = x.mul(x).sum();
    tg.noGrad(() => y.backward());
    expectEqual(await gradOf(x), [2, 4]);
  },

  "inference tensors stay off the tape": async () => {
    const x = leaf([1, 2]);
    const [y, z] = tg.inferenceMode(() => {
      const made = x.mul(2);
      made.add_(1);
      return [made, tg.ones(2)] as const;
    });
    expectEqual([y.requiresGrad, z.requiresGrad], [false, false]);
    expectEqual(await y.toArray(), [3, 5]);
    // Outside they may be read and computed with, but not saved, written or made leaves.
    expectEqual(await y.add(1).toArray(), [4, 6]);
    const sum = x.add(y);
    ensure(sum.requiresGrad, "an operation that saves nothing is recorded");
    await expectThrows(() => x.mul(y), /Inference tensors cannot be saved for backward.*clone/);
    await expectThrows(() => y.add_(1), /Inplace update to inference tensor outside InferenceMode is not allowed/);
    await expectThrows(() => z.requiresGrad_(), /requiresGrad=true on inference tensor outside InferenceMode/);
    expectEqual(await y.toArray(), [3, 5], "the value after a refused write");
    const normal = y.clone();
    x.mul(normal).sum().backward();
    expectEqual(await gradOf(x), [3, 5]);
    normal.add_(1).requiresGrad_();
    await tg.inferenceMode(async () => {
      await turn();
      ensure(tg.isInferenceModeEnabled(), "inference mode waits, too");
      expectEqual(tg.ones(1).requiresGrad_().requiresGrad, true, "inside, the flag may be set");
    });
  },
});
