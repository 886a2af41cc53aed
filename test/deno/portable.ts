/** The portable suites in Deno. */

import { suites } from "../portable/suites.ts";
import { answerQuestions } from "./host.ts";

await answerQuestions(suites);
