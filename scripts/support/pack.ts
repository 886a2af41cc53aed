/** Packs the built library as the file that users install. */

import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { ROOT } from "./environment.ts";

/** Packs what dist/ holds now into a folder; gives the path of the tarball. */
export function packPackage(folder: string): string {
  const output = execFileSync("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", folder], {
    cwd: ROOT,
    encoding: "utf8",
    shell: process.platform === "win32",
    stdio: ["ignore", "pipe", "inherit"],
  });
  const packed = JSON.parse(output) as readonly { readonly filename: string }[];
  return join(folder, packed[0]!.filename);
}
