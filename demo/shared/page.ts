/** What every demo page has: its state for those who wait for it, the choice of the device, and errors in plain sight. */

import * as tg from "#tapegrad";
import { byId, element } from "./dom.ts";

/** How far a page is; it stands as `data-state` on the root element. */
export type PageState = "loading" | "running" | "done" | "failed";

/** Sets the page's state. */
export function setState(state: PageState): void {
  document.documentElement.dataset.state = state;
}

/** Tells in one line what the page is doing; screen readers say it. */
export function setStatus(text: string): void {
  byId("status").textContent = text;
}

/** An error's name and message. */
export function describe(error: unknown): { name: string; message: string } {
  if (error instanceof Error) return { name: error.name, message: error.message };
  return { name: "Error", message: String(error) };
}

/** Shows an error at the top of the page, writes it to the console and sets the state "failed". */
export function showError(error: unknown): void {
  console.error(error);
  const { name, message } = describe(error);
  byId("errors").append(element("div", { class: "error", role: "alert" }, element("strong", {}, name), ` ${message}`));
  setState("failed");
}

/** Shows what nobody caught. */
export function watchErrors(): void {
  window.addEventListener("error", (event) => showError(event.error ?? event.message));
  window.addEventListener("unhandledrejection", (event) => showError(event.reason));
}

const DEVICES = ["auto", "webgpu", "cpu"] as const;
const DEVICE_NAMES = { auto: "Auto", webgpu: "WebGPU", cpu: "CPU" } as const;

type DeviceChoice = (typeof DEVICES)[number];

function isChoice(value: string): value is DeviceChoice {
  return (DEVICES as readonly string[]).includes(value);
}

function pickerOf(chosen: string): HTMLElement {
  const links = DEVICES.map((device) => {
    const query = new URLSearchParams(location.search);
    query.set("device", device);
    return element(
      "a",
      { href: `?${query.toString()}`, "aria-current": device === chosen && "true" },
      DEVICE_NAMES[device],
    );
  });
  return element("nav", { class: "picker", "aria-label": "Device" }, ...links);
}

/**
 * Takes the device that the address asks for (`?device=auto|webgpu|cpu`) and shows it with the reason. Gives null, with the
 * error shown and the state "failed", where there is no such device.
 */
export async function openDevice(): Promise<tg.DeviceInfo | null> {
  const asked = new URLSearchParams(location.search).get("device") ?? "auto";
  const place = byId("device");
  place.replaceChildren(pickerOf(asked));
  try {
    if (!isChoice(asked)) throw new Error(`?device=${asked}: the device must be auto, webgpu or cpu`);
    const info = await tg.init({ device: asked });
    const { type, description, isSoftware, reason } = info;
    place.append(
      element(
        "p",
        { class: "device", "data-type": type },
        element("strong", {}, DEVICE_NAMES[type === "webgpu" ? "webgpu" : "cpu"]),
        ` ${description}${isSoftware ? " (software)" : ""}`,
        element("span", { class: "reason" }, reason),
      ),
    );
    return info;
  } catch (error) {
    showError(error);
    return null;
  }
}
