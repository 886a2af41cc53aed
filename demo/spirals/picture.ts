/** What the network says of every place, and the points, on a canvas. */

import { colourOf } from "../shared/colours.ts";

const CLASSES = ["var(--curve-1)", "var(--curve-2)", "var(--curve-3)", "var(--curve-4)", "var(--curve-5)"];

/** Half the width of the square that is shown. */
const REACH = 1.1;

/** What is to be drawn. */
export interface Picture {
  /** Probabilities of the arms at `size` by `size` places, row by row from the top. */
  readonly probabilities: ArrayLike<number>;
  readonly size: number;
  readonly arms: number;
  /** Coordinates of the points, x and y in turn. */
  readonly points: readonly number[];
  /** The arm of each point. */
  readonly labels: readonly number[];
}

/** Draws on a square canvas. */
export function drawPicture(canvas: HTMLCanvasElement, picture: Picture): void {
  const context = canvas.getContext("2d")!;
  const colours = CLASSES.map(colourOf);
  const paper = colourOf("var(--surface)");
  const { probabilities, size, arms, points, labels } = picture;

  const field = new ImageData(size, size);
  for (let place = 0; place < size * size; place++) {
    for (let channel = 0; channel < 3; channel++) {
      let mixed = 0;
      for (let arm = 0; arm < arms; arm++) mixed += probabilities[place * arms + arm]! * colours[arm]![channel]!;
      field.data[place * 4 + channel] = 0.4 * mixed + 0.6 * paper[channel]!;
    }
    field.data[place * 4 + 3] = 255;
  }
  const small = new OffscreenCanvas(size, size);
  small.getContext("2d")!.putImageData(field, 0, 0);
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, canvas.width, canvas.height);

  context.lineWidth = 1.5;
  context.strokeStyle = `rgb(${paper.join(" ")})`;
  labels.forEach((arm, i) => {
    const x = ((points[2 * i]! / REACH + 1) / 2) * canvas.width;
    const y = ((1 - points[2 * i + 1]! / REACH) / 2) * canvas.height;
    context.beginPath();
    context.arc(x, y, 5.5, 0, 2 * Math.PI);
    context.fillStyle = `rgb(${colours[arm]!.join(" ")})`;
    context.fill();
    context.stroke();
  });
}
