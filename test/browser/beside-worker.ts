/** The library in a worker beside a page that uses it, too. */

import * as tg from "#tapegrad";
import { work } from "./beside-work.ts";

addEventListener("message", ({ data }: MessageEvent<number>) => {
  work(data).then(
    (report) => postMessage({ report }),
    (error: unknown) => postMessage({ error: String(error) }),
  );
});

// Its device is there before the page begins.
await tg.init({ device: "webgpu" });
postMessage({ isReady: true });
