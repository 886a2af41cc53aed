/** Looking over a device's shoulder: its methods with something in their way, for one tool at a time. */

import { ArgumentError } from "../errors.ts";

let watching: string | null = null;

/** Says that `name` records a `what` from here on; the function given back ends that. Throws an `ArgumentError` while something else is being recorded. */
export function watchAlone(name: string, what: string): () => void {
  if (watching !== null) {
    const article = watching === what ? "another" : "a";
    throw new ArgumentError(`${name}: ${article} ${watching} is being recorded; await that one first`);
  }
  watching = what;
  return () => (watching = null);
}

/** Puts methods in the place of those of one object; the function given back puts these back. */
export function replaceMethods<T extends object>(object: T, methods: Partial<T>): () => void {
  const before = Object.keys(methods).map((name) => [name, Object.getOwnPropertyDescriptor(object, name)] as const);
  Object.assign(object, methods);
  return () => {
    for (const [name, own] of before) {
      if (own === undefined) Reflect.deleteProperty(object, name);
      else Object.defineProperty(object, name, own);
    }
  };
}
