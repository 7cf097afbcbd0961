/**
 * Painting at frame resolution.  Pure.
 *
 * A stroke is remembered as what it touched (`Uint8Array`, width * height, 1 where touched) and
 * not as the mask it led to, so that it can be laid again over a mask that changed meanwhile.
 *
 * @typedef {{left: number, top: number, right: number, bottom: number}} Rect  right and bottom
 *   are one past the last pixel
 * @typedef {{width: number, height: number}} Size
 * @typedef {{x: number, y: number}} Point
 */

export const MIN_BRUSH = 1;
export const MAX_BRUSH = 400;

/** The next larger (`steps` > 0) or smaller brush diameter, in frame pixels. */
export function stepBrush(diameter, steps) {
  const stepped = diameter * 1.15 ** steps;
  const moved = steps > 0 ? Math.max(diameter + 1, stepped) : Math.min(diameter - 1, stepped);
  return Math.min(MAX_BRUSH, Math.max(MIN_BRUSH, Math.round(moved)));
}

/**
 * Touch every pixel whose centre is within `radius` of the line from `from` to `to`.
 *
 * @param {Uint8Array} touched changed in place
 * @returns {Rect | null} what may have changed, or null when the line misses the frame
 */
export function touchLine(touched, { width, height }, from, to, radius) {
  const rect = clipped(
    {
      left: Math.floor(Math.min(from.x, to.x) - radius),
      top: Math.floor(Math.min(from.y, to.y) - radius),
      right: Math.ceil(Math.max(from.x, to.x) + radius) + 1,
      bottom: Math.ceil(Math.max(from.y, to.y) + radius) + 1,
    },
    { width, height },
  );
  if (!rect) return null;
  const dx = to.x - from.x;
  const dy = to.y - from.y;
  const lengthSquared = dx * dx + dy * dy;
  // A brush of one pixel still touches the pixel it stands on.
  const reach = Math.max(radius, Math.SQRT1_2);
  const reachSquared = reach * reach;
  for (let y = rect.top; y < rect.bottom; y++) {
    const py = y + 0.5 - from.y;
    for (let x = rect.left; x < rect.right; x++) {
      const px = x + 0.5 - from.x;
      const along = lengthSquared
        ? Math.min(1, Math.max(0, (px * dx + py * dy) / lengthSquared))
        : 0;
      const ex = px - along * dx;
      const ey = py - along * dy;
      if (ex * ex + ey * ey <= reachSquared) touched[y * width + x] = 1;
    }
  }
  return rect;
}

/**
 * Touch the inside of a closed polygon (even-odd rule, pixel centres).
 *
 * @param {Point[]} points in frame pixels; fewer than three touch nothing
 * @returns {Rect | null}
 */
export function touchPolygon(touched, { width, height }, points) {
  if (points.length < 3) return null;
  const ys = points.map((point) => point.y);
  const xs = points.map((point) => point.x);
  const rect = clipped(
    {
      left: Math.floor(Math.min(...xs)),
      top: Math.floor(Math.min(...ys)),
      right: Math.ceil(Math.max(...xs)),
      bottom: Math.ceil(Math.max(...ys)),
    },
    { width, height },
  );
  if (!rect) return null;
  for (let y = rect.top; y < rect.bottom; y++) {
    const crossings = crossingsAt(points, y + 0.5);
    for (let pair = 0; pair + 1 < crossings.length; pair += 2) {
      const first = Math.max(rect.left, Math.ceil(crossings[pair] - 0.5));
      const last = Math.min(rect.right, Math.ceil(crossings[pair + 1] - 0.5));
      if (last > first) touched.fill(1, y * width + first, y * width + last);
    }
  }
  return rect;
}

function crossingsAt(points, y) {
  const crossings = [];
  for (let index = 0; index < points.length; index++) {
    const a = points[index];
    const b = points[(index + 1) % points.length];
    if (a.y <= y === b.y <= y) continue;
    crossings.push(a.x + ((y - a.y) / (b.y - a.y)) * (b.x - a.x));
  }
  return crossings.sort((left, right) => left - right);
}

/** Lay a stroke over a mask, in place: what it touched becomes `value` (1 paints, 0 erases). */
export function layStroke(pixels, touched, value, rect, width) {
  for (let y = rect.top; y < rect.bottom; y++) {
    for (let at = y * width + rect.left, end = y * width + rect.right; at < end; at++) {
      if (touched[at]) pixels[at] = value;
    }
  }
}

/** The smallest rectangle around two, either of which may be null. */
export function union(first, second) {
  if (!first || !second) return first ?? second;
  return {
    left: Math.min(first.left, second.left),
    top: Math.min(first.top, second.top),
    right: Math.max(first.right, second.right),
    bottom: Math.max(first.bottom, second.bottom),
  };
}

/** `rect` cut to the frame, or null when nothing of it is left. */
export function clipped(rect, { width, height }) {
  const cut = {
    left: Math.max(0, rect.left),
    top: Math.max(0, rect.top),
    right: Math.min(width, rect.right),
    bottom: Math.min(height, rect.bottom),
  };
  return cut.left < cut.right && cut.top < cut.bottom ? cut : null;
}

/** `rect` grown by `margin` on every side, cut to the frame. */
export function grown(rect, margin, size) {
  return clipped(
    {
      left: rect.left - margin,
      top: rect.top - margin,
      right: rect.right + margin,
      bottom: rect.bottom + margin,
    },
    size,
  );
}
