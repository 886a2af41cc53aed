/** Serves the peers to the benchmark's page, bundled on demand, where the benchmark has installed them. */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";

const PEERS = fileURLToPath(new URL("../peers/", import.meta.url));
const TF = "@tensorflow/tfjs-core/dist";
const TF_WASM = join(PEERS, "node_modules/@tensorflow/tfjs-backend-wasm/dist");

/** What each bundle exports; `version` of the package is added. */
const BUNDLES: Readonly<Record<string, { readonly code: string; readonly package: string }>> = {
  "jax.js": { code: `export * from "@jax-js/jax/dist/index.js";`, package: "@jax-js/jax" },
  "tfjs.js": {
    code:
      `import "${TF}/register_all_gradients.js"; import "@tensorflow/tfjs-backend-webgpu/dist/index.js"; ` +
      `export * from "${TF}/index.js"; ` +
      `export { setWasmPaths, setThreadsCount } from "@tensorflow/tfjs-backend-wasm/dist/tf-backend-wasm.fesm.js";`,
    package: "@tensorflow/tfjs-core",
  },
};

async function bundle(name: string): Promise<string> {
  const { build } = await import("rolldown");
  const spec = BUNDLES[name]!;
  const file = join(PEERS, "node_modules", spec.package, "package.json");
  const { version } = JSON.parse(readFileSync(file, "utf8")) as { readonly version: string };
  const entry = "\0entry";
  const { output } = await build({
    input: entry,
    cwd: PEERS,
    platform: "browser",
    write: false,
    logLevel: "silent",
    plugins: [
      {
        name: "entry",
        resolveId: (id, importer) => (id === entry ? id : importer === entry ? join(PEERS, "node_modules", id) : null),
        load: (id) => (id === entry ? `${spec.code} export const version = ${JSON.stringify(version)};` : null),
      },
    ],
    output: { format: "esm", codeSplitting: false },
  });
  return output[0].code;
}

/** The plugin of vite. */
export function benchPeers(): Plugin {
  const made = new Map<string, Promise<string>>();
  return {
    name: "bench-peers",
    configureServer(server) {
      server.middlewares.use("/bench/peers/", (request, response, next) => {
        const name = (request.url ?? "").replace(/^\//, "").replace(/\?.*$/, "");
        const wasm = join(TF_WASM, name);
        const send = (type: string, body: string | Buffer): void => {
          response.setHeader("Content-Type", type);
          response.setHeader("Cross-Origin-Resource-Policy", "same-origin");
          response.end(body);
        };
        if (/^[a-z-]+\.wasm$/.test(name) && existsSync(wasm)) send("application/wasm", readFileSync(wasm));
        else if (name in BUNDLES && existsSync(join(PEERS, "node_modules"))) {
          if (!made.has(name)) made.set(name, bundle(name));
          made.get(name)!.then((code) => send("text/javascript", code), next);
        } else {
          response.statusCode = 404;
          response.end("the libraries to compare with are not installed: npm run bench installs them");
        }
      });
    },
  };
}
