/** Serves and builds the demo pages: `npm start`, `npm run build:demo`. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import { benchPeers } from "./bench/page/plugin.ts";
import { demos } from "./demo/demos.ts";

// Cross-origin isolation, as threads and precise clocks want it.
const headers = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

const root = fileURLToPath(new URL("demo", import.meta.url));
const library = fileURLToPath(new URL("src/", import.meta.url));
const pages = ["index.html", ...demos.map(({ folder }) => `${folder}/index.html`)];

export default defineConfig({
  root,
  // Addresses within the gallery are relative: it can be put into any folder of a server.
  base: "./",
  plugins: [benchPeers()],
  cacheDir: fileURLToPath(new URL(".cache/vite", import.meta.url)),
  build: {
    outDir: join(root, "..", "dist-demo"),
    emptyOutDir: true,
    target: "es2022",
    // The page of a step's memory leads from what runs to the lines that were written.
    sourcemap: true,
    // Graphviz is one large module, loaded when a graph is to be drawn.
    chunkSizeWarningLimit: 1600,
    rolldownOptions: {
      input: pages.map((page) => join(root, page)),
      // The library in one file, as users have it: by this the debug mode tells its own lines from the page's.
      output: { codeSplitting: { groups: [{ name: "tapegrad", test: (id) => id.startsWith(library) }] } },
    },
  },
  server: { headers },
  preview: { headers },
});
