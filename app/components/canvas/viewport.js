/**
 * Where the frame lies on the stage.
 *
 * A viewport maps frame pixels to CSS pixels of the stage: `stage = image * scale + (left, top)`.
 * Pure; knows no DOM.
 *
 * @typedef {{scale: number, left: number, top: number}} Viewport
 * @typedef {{width: number, height: number}} Size
 * @typedef {{x: number, y: number}} Point
 */

export const MIN_SCALE = 0.05;
export const MAX_SCALE = 32;
const KEPT_IN_VIEW = 48; // CSS pixels of the frame that stay reachable however far one pans

/** The whole frame, as large as the stage allows, in its middle. */
export function fit(image, stage, margin = 0) {
  const room = {
    width: Math.max(1, stage.width - 2 * margin),
    height: Math.max(1, stage.height - 2 * margin),
  };
  const scale = clampScale(Math.min(room.width / image.width, room.height / image.height));
  return {
    scale,
    left: (stage.width - image.width * scale) / 2,
    top: (stage.height - image.height * scale) / 2,
  };
}

/** The point of the frame under a point of the stage; may lie outside the frame. */
export function toImage(viewport, point) {
  return {
    x: (point.x - viewport.left) / viewport.scale,
    y: (point.y - viewport.top) / viewport.scale,
  };
}

/** The point of the stage over a point of the frame. */
export function toStage(viewport, point) {
  return {
    x: point.x * viewport.scale + viewport.left,
    y: point.y * viewport.scale + viewport.top,
  };
}

/** Zoom by `factor`, holding still the image point under `cursor`. */
export function zoomAt(viewport, cursor, factor) {
  const scale = clampScale(viewport.scale * factor);
  const held = toImage(viewport, cursor);
  return { scale, left: cursor.x - held.x * scale, top: cursor.y - held.y * scale };
}

/** Move the frame by CSS pixels, never wholly out of sight. */
export function panBy(viewport, dx, dy, image, stage) {
  const within = (value, length, room) =>
    Math.min(room - KEPT_IN_VIEW, Math.max(KEPT_IN_VIEW - length, value));
  return {
    scale: viewport.scale,
    left: within(viewport.left + dx, image.width * viewport.scale, stage.width),
    top: within(viewport.top + dy, image.height * viewport.scale, stage.height),
  };
}

/** The same middle of the frame in a stage that changed its size. */
export function resized(viewport, before, after) {
  return {
    scale: viewport.scale,
    left: viewport.left + (after.width - before.width) / 2,
    top: viewport.top + (after.height - before.height) / 2,
  };
}

/**
 * A pointer's place on the stage, in the stage's own CSS pixels.
 *
 * `rect` is the stage's bounding rectangle at the time of the event, so a scrolled page is
 * already in it; where an ancestor is scaled by CSS, `rect` and `stage` differ in size.
 */
export function pointerToStage(pointer, rect, stage) {
  return {
    x: ((pointer.clientX - rect.left) * stage.width) / rect.width,
    y: ((pointer.clientY - rect.top) * stage.height) / rect.height,
  };
}

/** Whether a point lies on the frame; its right and bottom edges do not belong to it. */
export function isInside(point, image) {
  return point.x >= 0 && point.y >= 0 && point.x < image.width && point.y < image.height;
}

/** How many frame pixels an outline needs so that it stays visible at this scale. */
export function grainOf(scale) {
  return Math.min(4, Math.max(1, Math.round(1 / scale)));
}

function clampScale(scale) {
  return Math.min(MAX_SCALE, Math.max(MIN_SCALE, scale));
}
