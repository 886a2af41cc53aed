/** `cold` and `size`: what a user waits for before the first result, and what a page loads. */

import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";

import { dawnEnvironment, ROOT } from "../scripts/support/environment.ts";
import type { ColdStart } from "./cold-child.ts";
import { matches, type BenchOptions } from "./support/options.ts";
import { PEERS } from "./support/peers.ts";
import { summarize, type Summary } from "./support/statistics.ts";
import { bytes, table, time } from "./support/table.ts";

const CACHE = join(ROOT, ".cache/bench");

/** Bundles and minifies what `code` imports; gives the files' text, entry first. */
async function bundle(name: string, code: string, folder: string): Promise<{ file: string; texts: string[] }> {
  mkdirSync(CACHE, { recursive: true });
  const entry = "\0entry";
  const out = join(CACHE, name);
  const { build } = await import("rolldown");
  const { output } = await build({
    input: { [name]: entry },
    cwd: folder,
    platform: "browser",
    logLevel: "silent",
    plugins: [
      {
        name: "entry",
        resolveId: (id, importer) => (id === entry ? id : importer === entry ? { id: locate(id, folder) } : null),
        load: (id) => (id === entry ? code : null),
      },
    ],
    output: { dir: out, format: "esm", minify: true },
  });
  return {
    file: join(out, output[0].fileName),
    texts: output.flatMap((o) => (o.type === "chunk" ? [o.code] : [])),
  };
}

function locate(id: string, folder: string): string {
  return id.startsWith("/") ? id : join(folder, "node_modules", id);
}

/** The library as a page would load it. */
export async function bundleTapegrad(): Promise<{ file: string; texts: string[] }> {
  return bundle("tapegrad", `export * from ${JSON.stringify(join(ROOT, "src/index.ts"))};`, ROOT);
}

export interface ColdResult {
  readonly device: "cpu" | "webgpu";
  readonly libraries: readonly {
    readonly name: string;
    readonly loaded: Summary | null;
    readonly first: Summary | null;
    readonly second: Summary | null;
    readonly failure: string | null;
  }[];
}

const LIBRARIES = ["tapegrad", "jax-js", "jax-js jit", "tfjs"];

/** Starts fresh processes in turns, and prints how long each library took to its first loss. */
export async function runCold(options: BenchOptions): Promise<ColdResult> {
  const { device } = options;
  const { file } = await bundleTapegrad();
  const variables = device === "webgpu" ? dawnEnvironment().variables : {};
  const names = LIBRARIES.filter((l) => matches(l, options.subjects));
  const starts = new Map<string, ColdStart[]>(names.map((n) => [n, []]));
  const failures = new Map<string, string>();
  const rounds = options.quick ? 5 : 15;
  for (let round = 0; round < rounds; round++)
    for (let i = 0; i < names.length; i++) {
      const name = names[(i + round) % names.length]!;
      if (failures.has(name)) continue;
      const { stdout, stderr } = spawnSync(
        process.execPath,
        [join(ROOT, "bench/cold-child.ts"), name, device, pathToFileURL(file).href],
        { cwd: ROOT, env: { ...process.env, ...variables }, encoding: "utf8" },
      );
      const line = stdout.split("\n").find((l) => l.startsWith("{"));
      if (line === undefined) failures.set(name, stderr.split("\n").find((l) => l.includes("Error")) ?? "no result");
      else starts.get(name)!.push(JSON.parse(line) as ColdStart);
    }
  const libraries = names.map((name) => {
    const list = starts.get(name)!;
    const over = (pick: (s: ColdStart) => number): Summary | null =>
      list.length === 0 ? null : summarize(list.map(pick));
    return {
      name,
      loaded: over((s) => s.loaded),
      first: over((s) => s.first),
      second: over((s) => s.second),
      failure: failures.get(name) ?? null,
    };
  });
  const rows = libraries.map(({ name, loaded, first, second, failure }) =>
    failure !== null || first === null
      ? [name, `failed: ${failure}`]
      : [
          name,
          time(loaded!.median),
          time(first.median),
          `${time(first.p10)} .. ${time(first.p90)}`,
          time(second!.median),
          String(first.samples),
        ],
  );
  console.log(
    `\n=== Cold start, ${device}: a fresh process, from the import to the loss of the first step of the perceptron`,
  );
  console.log(table(["library", ">ready", ">first loss", "p10 .. p90", ">second step", ">processes"], rows), "\n");
  return { device, libraries };
}

export interface SizeResult {
  readonly bundles: readonly {
    readonly name: string;
    readonly minified: number;
    readonly gzip: number;
    /** WebAssembly files that it fetches when it starts. */
    readonly assets: number;
    readonly assetsGzip: number;
  }[];
}

interface BundleSpec {
  readonly name: string;
  readonly code: string;
  readonly folder: string;
  readonly assets: readonly string[];
}

const TF_CORE = "@tensorflow/tfjs-core/dist";
const GRADIENTS = `import "${TF_CORE}/register_all_gradients.js"; export * from "${TF_CORE}/index.js";`;
const TF_WASM = "@tensorflow/tfjs-backend-wasm/dist";
const ORT = "onnxruntime-web/dist";

const BUNDLES: readonly BundleSpec[] = [
  {
    name: "jax-js",
    code: `export * from "@jax-js/jax/dist/index.js";`,
    folder: PEERS,
    assets: [],
  },
  {
    name: "tfjs wasm",
    code: `${GRADIENTS} export * from "${TF_WASM}/tf-backend-wasm.fesm.js";`,
    folder: PEERS,
    assets: [`${TF_WASM}/tfjs-backend-wasm-simd.wasm`],
  },
  {
    name: "tfjs webgpu",
    code: `${GRADIENTS} export * from "@tensorflow/tfjs-backend-webgpu/dist/index.js";`,
    folder: PEERS,
    assets: [],
  },
  {
    name: "onnxruntime wasm",
    code: `export * from "${ORT}/ort.wasm.bundle.min.mjs";`,
    folder: PEERS,
    assets: [`${ORT}/ort-wasm-simd-threaded.wasm`],
  },
  {
    name: "onnxruntime webgpu",
    code: `export * from "${ORT}/ort.webgpu.bundle.min.mjs";`,
    folder: PEERS,
    assets: readdirSync(join(PEERS, "node_modules", ORT)).includes("ort-wasm-simd-threaded.asyncify.wasm")
      ? [`${ORT}/ort-wasm-simd-threaded.asyncify.wasm`]
      : [],
  },
];

/** Bundles every library whole, minifies it, and prints the bytes. */
export async function runSize(options: BenchOptions): Promise<SizeResult> {
  const zipped = (parts: readonly (string | Buffer)[]): number =>
    parts.reduce((sum, p) => sum + gzipSync(p, { level: 9 }).length, 0);
  const bundles = [];
  const own = await bundleTapegrad();
  const all: { name: string; texts: string[]; assets: Buffer[] }[] = [
    { name: "tapegrad", texts: own.texts, assets: [] },
  ];
  for (const { name, code, folder, assets } of BUNDLES)
    all.push({
      name,
      texts: (await bundle(name.replaceAll(" ", "-"), code, folder)).texts,
      assets: assets.map((a) => readFileSync(join(PEERS, "node_modules", a))),
    });
  for (const { name, texts, assets } of all) {
    if (!matches(name, options.subjects)) continue;
    bundles.push({
      name,
      minified: texts.reduce((sum, t) => sum + Buffer.byteLength(t), 0),
      gzip: zipped(texts),
      assets: assets.reduce((sum, a) => sum + a.length, 0),
      assetsGzip: zipped(assets),
    });
  }
  console.log("\n=== Size: the whole library bundled and minified by rolldown, and the WebAssembly that it fetches");
  console.log(
    table(
      ["library", ">minified", ">gzip", ">wasm", ">wasm gzip", ">to load, gzip"],
      bundles.map((b) => [
        b.name,
        bytes(b.minified),
        bytes(b.gzip),
        b.assets === 0 ? "none" : bytes(b.assets),
        b.assets === 0 ? "" : bytes(b.assetsGzip),
        bytes(b.gzip + b.assetsGzip),
      ]),
    ),
    "\n",
  );
  return { bundles };
}
