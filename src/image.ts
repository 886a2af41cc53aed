/** Images as tensors, and back: pixels, and what a browser can draw on a canvas. */

import { applyOptions, checkInteger, describeValue } from "./args.ts";
import { checkDType, type DType } from "./dtype.ts";
import { ArgumentError, DeviceError, ShapeError } from "./errors.ts";
import { showShape } from "./graph/view.ts";
import { checkTensor } from "./ops/apply.ts";
import { tensor, type TensorOptions } from "./ops/creation.ts";
import type { Tensor } from "./tensor.ts";

/** Pixels as `ImageData` holds them: red, green, blue and alpha from 0 to 255, row by row from the top. */
export interface Pixels {
  /** Pixels a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** Four bytes a pixel, alpha not multiplied in. */
  readonly data: Uint8ClampedArray;
}

/**
 * Where pixels come from: `ImageData` (or anything of its form), or what a canvas can draw, such as an `ImageBitmap`, `HTMLCanvasElement`,
 * `OffscreenCanvas`, `HTMLImageElement`, `HTMLVideoElement` (its present frame) or `VideoFrame`.
 */
export type ImageSource = Pixels | object;

/** Options of `fromImage`. */
export interface FromImageOptions extends TensorOptions {
  /** Order of the dimensions: [channels, height, width] or [height, width, channels]. Default: `"CHW"`. */
  layout?: "CHW" | "HWC" | undefined;
  /** 1 (the red channel), 3 (without alpha) or 4. Default: 3. */
  channels?: 1 | 3 | 4 | undefined;
}

interface Context {
  drawImage(source: object, x: number, y: number): void;
  getImageData(x: number, y: number, width: number, height: number): Pixels;
}
interface Canvas {
  width: number;
  height: number;
  getContext(kind: "2d", options?: { willReadFrequently: boolean }): Context | null;
}
interface Host {
  OffscreenCanvas?: new (width: number, height: number) => Canvas;
  document?: { createElement(name: "canvas"): Canvas };
  ImageData?: new (data: Uint8ClampedArray, width: number, height: number) => Pixels;
}
const host = globalThis as unknown as Host;

function isPixels(source: object): source is Pixels {
  const { data } = source as Partial<Pixels>;
  return data instanceof Uint8ClampedArray;
}

/** The size of what is drawn, in its own pixels. */
function sizeOf(source: object): [number, number] {
  const from = source as Readonly<Record<string, unknown>>;
  const pairs = [["videoWidth", "videoHeight"], ["naturalWidth", "naturalHeight"], ["displayWidth", "displayHeight"], ["width", "height"]] as const; // prettier-ignore
  for (const [w, h] of pairs) {
    const [width, height] = [from[w], from[h]];
    if (typeof width !== "number" || typeof height !== "number") continue;
    if (width > 0 && height > 0) return [width, height];
    throw new ArgumentError(
      `fromImage: the image has no pixels (${width} x ${height}): wait for it first, with await image.decode() or the video's "loadeddata"`,
    );
  }
  throw new ArgumentError(
    "fromImage: expected ImageData or something that a canvas can draw, got an object without a size",
  );
}

function pixelsOf(source: object): Pixels {
  if (isPixels(source)) return source;
  const [width, height] = sizeOf(source);
  let canvas: Canvas | null = null;
  if (host.OffscreenCanvas !== undefined) canvas = new host.OffscreenCanvas(width, height);
  else if (host.document !== undefined) {
    canvas = host.document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
  }
  // Deno has canvases without 2d.
  const context = canvas?.getContext("2d", { willReadFrequently: true }) ?? null;
  if (context === null)
    throw new DeviceError(
      "fromImage: there is no canvas here to read the pixels with: pass { width, height, data } with data a Uint8ClampedArray of RGBA",
    );
  try {
    context.drawImage(source, 0, 0);
    return context.getImageData(0, 0, width, height);
  } catch (error) {
    throw new ArgumentError(
      `fromImage: the image cannot be read (${error instanceof Error ? error.message : String(error)}); images of other sites need crossOrigin = "anonymous"`,
      { cause: error },
    );
  }
}

/**
 * An image as a tensor: float32 from 0 to 1 in [channels, height, width] unless `layout`, `dtype` and `channels` say otherwise. uint8 and
 * int32 have the bytes, 0 to 255, as they are: `fromImage(canvas, { layout: "HWC", dtype: "uint8", channels: 4 })`. The pixels are copied at
 * the call. Throws an `ArgumentError` for images that are not loaded yet or that the browser does not let be read.
 */
export function fromImage(source: ImageSource, options: FromImageOptions = {}): Tensor {
  if (typeof source !== "object" || source === null)
    throw new ArgumentError(
      `fromImage: expected ImageData, an ImageBitmap, a canvas, an image or a video, got ${describeValue(source)}`,
    );
  applyOptions("fromImage", ["layout", "channels", "dtype", "device", "requiresGrad"], {}, { ...options }, {});
  const { layout = "CHW", channels = 3, dtype: given, ...rest } = options;
  const dtype: DType = given == null ? "float32" : checkDType(given, "fromImage");
  if (layout !== "CHW" && layout !== "HWC")
    throw new ArgumentError(`fromImage: layout must be "CHW" or "HWC", got ${describeValue(layout)}`);
  if (channels !== 1 && channels !== 3 && channels !== 4)
    throw new ArgumentError(`fromImage: channels must be 1, 3 or 4, got ${describeValue(channels)}`);
  const { width, height, data } = pixelsOf(source);
  checkInteger("fromImage", "width", width);
  checkInteger("fromImage", "height", height);
  const count = width * height;
  if (data.length !== 4 * count)
    throw new ShapeError(
      `fromImage: ${width} x ${height} pixels take ${4 * count} bytes of RGBA, but there are ${data.length}`,
    );
  const scale = dtype === "uint8" || dtype === "int32" || dtype === "bool" ? 1 : 255;
  const values = scale === 1 ? new Uint8Array(count * channels) : new Float32Array(count * channels);
  for (let i = 0; i < count; i++)
    for (let c = 0; c < channels; c++)
      values[layout === "CHW" ? c * count + i : i * channels + c] = data[4 * i + c]! / scale;
  const shape = layout === "CHW" ? [channels, height, width] : [height, width, channels];
  return tensor(values, { shape, dtype, ...rest });
}

/**
 * A tensor as `ImageData`, where the host has it, else as its width, height and data. Takes [channels, height, width], or with
 * `layout: "HWC"` [height, width, channels], of 1 (grey), 3 or 4 channels, or [height, width]; floating values from 0 to 1, integers from 0 to
 * 255, bool black and white. Values beyond are cut off, NaN is black, fractions are rounded.
 */
export async function toImageData(
  input: Tensor,
  options: { layout?: "CHW" | "HWC" | undefined } = {},
): Promise<Pixels> {
  checkTensor("toImageData", "input", input);
  applyOptions("toImageData", ["layout"], {}, { ...options }, {});
  const { layout = "CHW" } = options;
  if (layout !== "CHW" && layout !== "HWC")
    throw new ArgumentError(`toImageData: layout must be "CHW" or "HWC", got ${describeValue(layout)}`);
  const { shape } = input;
  const sizes = shape.length === 2 ? [1, ...shape] : layout === "CHW" ? shape : [shape[2]!, shape[0]!, shape[1]!];
  const [channels, height, width] = sizes as [number, number, number];
  if (sizes.length !== 3 || shape.length > 3 || ![1, 3, 4].includes(channels) || height < 1 || width < 1)
    throw new ShapeError(
      `toImageData: expected ${layout === "CHW" ? "[channels, height, width]" : "[height, width, channels]"} of 1, 3 or 4 channels, or [height, width], got ${showShape(shape)}`,
    );
  const { dtype } = input;
  const scale = dtype === "uint8" || dtype === "int32" ? 1 : 255;
  const values = await input.data();
  const count = width * height;
  const data = new Uint8ClampedArray(4 * count);
  const at = (i: number, c: number): number =>
    shape.length === 2 || layout === "CHW" ? c * count + i : i * channels + c;
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < 3; c++) data[4 * i + c] = values[at(i, channels === 1 ? 0 : c)]! * scale;
    data[4 * i + 3] = channels === 4 ? values[at(i, 3)]! * scale : 255;
  }
  return host.ImageData === undefined ? { width, height, data } : new host.ImageData(data, width, height);
}
