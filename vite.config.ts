/** Serves and builds the demo pages. */

import { defineConfig } from "vite";

// Cross-origin isolation, as threads and precise clocks want it.
const headers = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

export default defineConfig({
  root: "demo",
  server: { headers },
  preview: { headers },
});
