/** Projects of the tests. Those that start other programs (browser, Deno, package) run one after another, at the end. */

import { configDefaults, defineConfig } from "vitest/config";
import { dawnEnvironment } from "./scripts/support/environment.ts";

const APART = ["browser", "deno", "package"] as const;

const separate = APART.map((name, index) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 300_000,
    sequence: { groupOrder: index + 1 },
  },
}));

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "node",
          include: ["test/**/*.test.ts"],
          exclude: [...configDefaults.exclude, ...APART.map((name) => `test/${name}/**`)],
          env: dawnEnvironment().variables,
          pool: "forks",
          testTimeout: 60_000,
          hookTimeout: 60_000,
          typecheck: { enabled: true, include: ["test/types/**/*.test-d.ts"], ignoreSourceErrors: true },
        },
      },
      ...separate,
    ],
  },
});
