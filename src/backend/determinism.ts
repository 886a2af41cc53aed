/** Whether devices have to choose kernels by fixed rules alone. One setting for all of them. */

let deterministic = false;

/** True while results must not depend on anything that was measured, nor on the order in which invocations run. */
export function isDeterministic(): boolean {
  return deterministic;
}

export function setDeterministic(on: boolean): void {
  deterministic = on;
}
