/** What the documents say: their programs run as they stand, against the package, and print what stands below them. */

import { cpSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT } from "../../scripts/support/environment.ts";
import { startChromium } from "../support/chromium.ts";
import { visit } from "./page.ts";
import { buildTarball, Project, systemNode, temporaryFolder } from "./project.ts";

const folder = temporaryFolder();
let project: Project;

beforeAll(() => {
  project = new Project(buildTarball(folder));
});

afterAll(() => {
  project?.remove();
  rmSync(folder, { recursive: true, force: true });
});

interface Block {
  readonly language: string;
  readonly text: string;
  readonly line: number;
}

/** The fenced blocks of a document. */
function blocksOf(document: string): Block[] {
  const text = readFileSync(join(ROOT, document), "utf8");
  return [...text.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].map((match) => ({
    language: match[1]!,
    text: match[2]!,
    line: text.slice(0, match.index).split("\n").length,
  }));
}

const DOCUMENTS = [
  "README.md",
  ...readdirSync(join(ROOT, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];

describe.for(DOCUMENTS)("%s", (document) => {
  const blocks = blocksOf(document);
  blocks.forEach((block, i) => {
    if (block.language !== "js") return;
    test(`the program at line ${block.line} prints what it says`, async () => {
      const output = blocks[i + 1];
      expect(output?.language).toBe("text");
      const file = `${document.replace(/\W/g, "-")}-${block.line}.js`;
      project.write(file, block.text);
      expect(await project.run(systemNode(), [file])).toBe(output!.text);
    });
  });

  test("its links lead to files", () => {
    const text = readFileSync(join(ROOT, document), "utf8");
    const links = [...text.matchAll(/\]\(([^)#]+)[^)]*\)/g)].map((match) => match[1]!);
    const base = new URL(`file://${join(ROOT, document)}`);
    for (const link of links)
      if (!/^https?:/.test(link)) expect(() => readFileSync(new URL(link, base)), link).not.toThrow();
  });
});

describe("README.md", () => {
  test("its table of PyTorch's forms runs, row by row", async () => {
    const rows = readFileSync(join(ROOT, "README.md"), "utf8")
      .match(/^\| PyTorch [^]*?\n\n/m)![0]
      .trim()
      .split("\n");
    const codes = rows
      .slice(2)
      .flatMap((row) => [...row.split("|")[2]!.matchAll(/`(.+?)`/g)].map((match) => match[1]!));
    expect(codes.length).toBeGreaterThan(30);
    const calls = codes.map((code) => {
      // Gradients flow in the rows that are about them.
      const flows = /backward|autograd|\.grad/.test(code);
      return `await attempt(${JSON.stringify(code)}, ${flows}, async ({ a, b, i, t, v, w, x, y }) => {
        { ${code}; }
      });`;
    });
    project.write(
      "table.js",
      `import * as tg from "tapegrad";
      const failed = [];
      async function attempt(code, flows, run) {
        const x = tg.rand(3, 4, { requiresGrad: flows });
        const values = {
          x, y: x.square().sum(), a: tg.rand(2, 2), b: tg.rand(2, 2), v: tg.tensor(1), w: tg.rand(2, { requiresGrad: true }),
          i: tg.tensor([0, 1], { dtype: "int32" }), t: tg.tensor([0, 1, 2], { dtype: "int32" }),
        };
        try {
          await run(values);
        } catch (error) {
          // Without an adapter nothing can be moved to one; the message says so.
          if (code !== 'x.to("webgpu")' || !error.message.includes("tg.init")) failed.push(code + ": " + error.message);
        }
      }
      ${calls.join("\n")}
      console.log(JSON.stringify(failed));`,
    );
    const printed = await project.run(process.execPath, ["table.js"]);
    expect(JSON.parse(printed.trim().split("\n").at(-1)!)).toEqual([]);
  });

  test("what it says is not there is not there", async () => {
    const section = readFileSync(join(ROOT, "README.md"), "utf8").match(/^Not there yet: [^]*?\n\n/m)![0];
    const names = [...section.matchAll(/`(.+?)`/g)].map((match) => match[1]!);
    expect(names.length).toBeGreaterThan(0);
    project.write(
      "missing.js",
      `import * as tg from "tapegrad";
      const find = (path) => path.split(".").reduce((from, key) => from?.[key], tg) ?? tg.Tensor.prototype[path];
      console.log(JSON.stringify(${JSON.stringify(names)}.filter((name) => find(name) !== undefined)));`,
    );
    expect(JSON.parse(await project.run(systemNode(), ["missing.js"]))).toEqual([]);
  });

  test("its page runs", async () => {
    const pages = blocksOf("README.md").filter(({ language }) => language === "html");
    expect(pages.length).toBe(1);
    project.write("readme/index.html", `<!doctype html><link rel="icon" href="data:,"><body></body>${pages[0]!.text}`);
    const root = join(project.folder, "readme");
    cpSync(join(project.folder, "node_modules/tapegrad/dist/tapegrad.min.js"), join(root, "tapegrad.min.js"));
    const browser = await startChromium();
    try {
      const text = await visit(
        browser,
        root,
        ".",
        () => /^\s*\S+ on \w+\s*$/.test(document.body.textContent), // the script is text of the body, too, until it has run
        (page) => page.evaluate(() => document.body.textContent),
      );
      expect(text.trim()).toMatch(/^14 on (webgpu|cpu)$/);
    } finally {
      await browser.close();
    }
  });
});
