/** `tg.nn`: layers and their functions. */

export * as functional from "./functional.ts";
