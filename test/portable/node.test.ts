/** Runs the portable suites in Node, on the CPU and on Dawn. */

import { runHere } from "../support/vitest.ts";
import { suites } from "./suites.ts";

runHere(suites);
