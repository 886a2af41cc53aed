/** The notebook "Getting familiar with torch.autograd", cell by cell. What is shown as a cell's code is what runs. */

import { basics } from "./basics.ts";
import type { Entry } from "./entry.ts";
import { exercises } from "./exercises.ts";
import { jacobian } from "./jacobian.ts";

/** The files that hold the cells; `codeOf` looks for code in their joined text. */
export const SOURCE_FILES = ["basics.ts", "jacobian.ts", "exercises.ts"] as const;

/** The whole notebook, in order. Cells use what cells before them made. */
export const notebook: readonly Entry[] = [...basics, ...jacobian, ...exercises];
