/** Installs what the tests need from the system where that can be done without asking, and says what is missing where it cannot. */

import { spawnSync } from "node:child_process";
import {
  dawnEnvironment,
  denoEnvironment,
  findChromium,
  findProgram,
  NO_CHROMIUM,
  NO_DAWN_ADAPTER,
  NO_DENO_ADAPTER,
} from "./environment.ts";

interface Need {
  /** Debian packages that meet it. */
  readonly packages: readonly string[];
  readonly message: string;
  isMet(): boolean;
}

const CHROMIUM: Need = {
  packages: ["chromium", "libvulkan1"],
  message: NO_CHROMIUM,
  isMet: () => findChromium() !== null,
};

const DAWN: Need = {
  packages: ["chromium", "libvulkan1"],
  message: NO_DAWN_ADAPTER,
  isMet: () => dawnEnvironment().adapter !== null,
};

const DENO: Need = {
  packages: ["mesa-vulkan-drivers"],
  message: NO_DENO_ADAPTER,
  isMet: () => denoEnvironment().adapter !== null,
};

/** How to become root without a question: nothing before the command, `sudo -n`, or null where neither does. */
function rootPrefix(): readonly string[] | null {
  if (process.getuid?.() === 0) return [];
  if (findProgram("sudo") === null) return null;
  return spawnSync("sudo", ["-n", "true"]).status === 0 ? ["sudo", "-n"] : null;
}

function install(packages: readonly string[]): void {
  if (process.platform !== "linux" || findProgram("apt-get") === null) return;
  const prefix = rootPrefix();
  if (prefix === null) return;
  console.log(`Installing ${packages.join(", ")} (apt-get) ...`);
  const apt = (...args: string[]): void => {
    const [command, ...rest] = [...prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", ...args];
    spawnSync(command!, rest, { stdio: ["ignore", "inherit", "inherit"] });
  };
  apt("update");
  apt("install", "-y", "--no-install-recommends", ...packages);
}

function meet(needs: readonly Need[]): string[] {
  const missing = needs.filter((need) => !need.isMet());
  if (missing.length === 0) return [];
  install([...new Set(missing.flatMap((need) => need.packages))]);
  return missing.filter((need) => !need.isMet()).map((need) => need.message);
}

/** Prepares what all tests need: Chromium, and an adapter for Dawn and for Deno. Gives what is still missing, for people. */
export function prepareTests(): string[] {
  return meet([CHROMIUM, DAWN, DENO]);
}

/** Prepares an adapter for Dawn, be it a software one. Gives what is still missing, for people. */
export function prepareDawn(): string[] {
  return meet([DAWN]);
}
