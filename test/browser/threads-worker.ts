/** The library in a worker of a page. */

import { work } from "./threads-work.ts";

work().then(
  (report) => postMessage({ report }),
  (error: unknown) => postMessage({ error: String(error) }),
);
