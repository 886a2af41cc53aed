/**
 * `npm run bench:bundle`: the benchmark as one file without any `node_modules`, for a bare machine with a GPU: Node and the package
 * `webgpu` (beside the file, or where TAPEGRAD_DAWN says) are all it needs. PyTorch is used where Python has it.
 */

import { mkdirSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { build } from "rolldown";
import { ROOT } from "../../scripts/support/environment.ts";
import type { Built } from "../support/built.ts";
import { machine, ownVersion } from "../support/machine.ts";
import { installPeers, PEERS, peerVersion } from "../support/peers.ts";
import { bytes } from "../support/table.ts";

const FILE = join(ROOT, ".cache/bench/tapegrad-bench.mjs");
const TF = "@tensorflow/tfjs-core/dist";

/** What stands for a peer in the bundle. */
const VIRTUAL: Readonly<Record<string, string>> = {
  "peer:jax": `export * from "@jax-js/jax/dist/index.js";`,
  "peer:tfjs-webgpu":
    `import "${TF}/register_all_gradients.js"; import "@tensorflow/tfjs-backend-webgpu/dist/index.js"; ` +
    `export * from "${TF}/index.js";`,
};

installPeers();
const facts = machine();
const script = (name: string): string => readFileSync(join(ROOT, "bench/subjects", name), "utf8");
const built: Built = {
  version: ownVersion(),
  commit: facts.commit,
  date: facts.date,
  peers: Object.fromEntries(["@jax-js/jax", "@tensorflow/tfjs-core"].map((name) => [name, peerVersion(name)])),
  python: Object.fromEntries(["pytorch_server.py", "pytorch_training.py"].map((name) => [name, script(name)])),
};
mkdirSync(join(ROOT, ".cache/bench"), { recursive: true });
await build({
  input: join(ROOT, "bench/main.ts"),
  cwd: ROOT,
  platform: "node",
  logLevel: "warn",
  // Only for what starts processes of the repository's files.
  external: ["rolldown", /^node:/],
  plugins: [
    {
      name: "peers-inside",
      resolveId(id, importer) {
        if (id in VIRTUAL) return `\0${id}`;
        if (importer?.startsWith("\0peer:") === true) return resolve(PEERS, "node_modules", id);
        if (id.endsWith("support/peers.ts") || (id === "./peers.ts" && importer?.includes("bench/support") === true))
          return join(ROOT, "bench/bundle/peers.ts");
        return null;
      },
      load: (id) => (id.startsWith("\0peer:") ? VIRTUAL[id.slice(1)]! : null),
    },
  ],
  output: {
    file: FILE,
    format: "esm",
    codeSplitting: false,
    banner: `globalThis.tapegradBench = ${JSON.stringify(built)};`,
  },
});
console.log(`${FILE} (${bytes(statSync(FILE).size)})
On the other machine, with Node 22 or newer and the package "webgpu" beside it (npm install webgpu):
  node tapegrad-bench.mjs ops training --device webgpu --dtype both --output result.json`);
