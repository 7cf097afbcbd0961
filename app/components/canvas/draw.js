/** Paints the two canvases of the stage.  The only module that does. */

import { toStage } from "./viewport.js";

const DOT = 6.5; // radius of a click, CSS pixels
const CRISP_FROM = 2; // device pixels per frame pixel from which pixels are shown as squares

/** Paint one frame into every pane; a frame not at hand leaves the neutral grey of the stage. */
export function paintPicture(context, bitmap, panes, viewport, dpr, ground) {
  clear(context);
  context.fillStyle = ground;
  context.fillRect(0, 0, context.canvas.width, context.canvas.height);
  if (!bitmap) return;
  context.imageSmoothingEnabled = viewport.scale * dpr < CRISP_FROM;
  for (const pane of panes) {
    within(context, pane, panes.length, dpr, () => {
      place(context, viewport, dpr, pane);
      context.drawImage(bitmap, 0, 0);
    });
  }
}

/**
 * Paint what lies over the frame in every pane.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {{overlays: import("./overlay.js").Overlay[], clicks: import("./edits/runs.js").Click[],
 *   lasso: {x: number, y: number}[] | null, box: import("./brush.js").Rect | null}[]} scenes one
 *   for each pane, in frame pixels
 * @param {import("./panes.js").Pane[]} panes
 * @param {{target: string, lasso: string} | null} colours null where there are no scenes
 */
export function paintOverlay(context, scenes, panes, viewport, dpr, colours) {
  clear(context);
  scenes.forEach((scene, index) => {
    const pane = panes[index];
    within(context, pane, panes.length, dpr, () =>
      paintScene(context, scene, pane, viewport, dpr, colours),
    );
  });
}

function paintScene(context, scene, pane, viewport, dpr, colours) {
  if (scene.overlays.length) {
    place(context, viewport, dpr, pane);
    context.imageSmoothingEnabled = viewport.scale * dpr < CRISP_FROM;
    for (const overlay of scene.overlays) drawOverlay(context, overlay);
  }
  context.setTransform(dpr, 0, 0, dpr, pane.left * dpr, pane.top * dpr);
  if (scene.lasso)
    paintLasso(
      context,
      scene.lasso.map((point) => toStage(viewport, point)),
      colours.lasso,
    );
  if (scene.box) paintBox(context, scene.box, viewport);
  for (const click of scene.clicks)
    paintClick(context, toStage(viewport, click), click.positive, colours);
}

/** Paint within a pane only; the one pane of an undivided stage needs no cutting. */
function within(context, { left, top, width, height }, panes, dpr, paint) {
  if (panes === 1) {
    paint();
    return;
  }
  context.save();
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.beginPath();
  context.rect(
    Math.round(left * dpr),
    Math.round(top * dpr),
    Math.round(width * dpr),
    Math.round(height * dpr),
  );
  context.clip();
  paint();
  context.restore();
}

/** Draw an overlay, or the part of it between `from` and `until`; a coarser one is stretched. */
function drawOverlay(context, { bitmap, left, top, right, bottom, from = left, until = right }) {
  const first = Math.max(left, from);
  const width = Math.min(right, until) - first;
  if (width <= 0) return;
  const fine = bitmap.width / (right - left);
  context.drawImage(
    bitmap,
    (first - left) * fine,
    0,
    width * fine,
    bitmap.height,
    first,
    top,
    width,
    bottom - top,
  );
}

function clear(context) {
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, context.canvas.width, context.canvas.height);
}

function place(context, { scale, left, top }, dpr, pane) {
  const [x, y] = [(pane.left + left) * dpr, (pane.top + top) * dpr];
  context.setTransform(scale * dpr, 0, 0, scale * dpr, x, y);
}

/** A plus on the target's colour, or a minus on black: told apart without seeing colour. */
function paintClick(context, at, positive, colours) {
  context.beginPath();
  context.arc(at.x, at.y, DOT, 0, 2 * Math.PI);
  context.fillStyle = positive ? colours.target : "#111";
  context.fill();
  context.lineWidth = 2;
  context.strokeStyle = "#fff";
  context.stroke();
  context.beginPath();
  context.moveTo(at.x - 3, at.y);
  context.lineTo(at.x + 3, at.y);
  if (positive) {
    context.moveTo(at.x, at.y - 3);
    context.lineTo(at.x, at.y + 3);
  }
  context.stroke();
  context.beginPath();
  context.arc(at.x, at.y, DOT + 1.5, 0, 2 * Math.PI);
  context.lineWidth = 1;
  context.strokeStyle = "rgba(0, 0, 0, 0.7)";
  context.stroke();
}

function paintLasso(context, points, colour) {
  context.beginPath();
  points.forEach((point, index) => {
    if (index) context.lineTo(point.x, point.y);
    else context.moveTo(point.x, point.y);
  });
  context.closePath();
  twice(context, colour);
}

function paintBox(context, { left, top, right, bottom }, viewport) {
  const first = toStage(viewport, { x: left, y: top });
  const last = toStage(viewport, { x: right, y: bottom });
  context.beginPath();
  context.rect(first.x, first.y, last.x - first.x, last.y - first.y);
  twice(context, "#fff");
}

/** A dashed line that shows on dark and on bright pictures. */
function twice(context, colour) {
  context.lineWidth = 3;
  context.strokeStyle = "rgba(0, 0, 0, 0.65)";
  context.stroke();
  context.setLineDash([6, 4]);
  context.lineWidth = 1.5;
  context.strokeStyle = colour;
  context.stroke();
  context.setLineDash([]);
}
