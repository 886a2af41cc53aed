/** The portable suites in a page. */

import { suites } from "../portable/suites.ts";
import { hostSuites } from "../support/host.ts";

globalThis.testHost = hostSuites(suites);
