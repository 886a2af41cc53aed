/** Arguments of a function after the first: those of the method of the same name. */
export type Tail<F extends (input: never, ...args: never) => unknown> = F extends (
  input: never,
  ...args: infer A
) => unknown
  ? A
  : never;
