/** What lies where on the timeline.  Pure; lengths in CSS pixels. */

/** The frame under `x` of a track `width` wide, within the clip. */
export function frameAtX(x, width, frameCount) {
  return Math.min(frameCount - 1, Math.max(0, Math.floor((x * frameCount) / Math.max(1, width))));
}

/** The middle of a frame's place on the track. */
export function xOfFrame(frameIndex, width, frameCount) {
  return ((frameIndex + 0.5) * width) / Math.max(1, frameCount);
}

/**
 * Neighbouring frames of one state as one span.
 *
 * @param {string[]} states one per frame
 * @returns {{state: string, first: number, last: number}[]}
 */
export function spans(states) {
  const found = [];
  states.forEach((state, frameIndex) => {
    const last = found.at(-1);
    if (last?.state === state) last.last = frameIndex;
    else found.push({ state, first: frameIndex, last: frameIndex });
  });
  return found;
}

/**
 * Which thumbnail of the sprite to draw where, so that the track is filled without distortion.
 *
 * @param {number} width of the track
 * @param {number} height of the thumbnails' row
 * @param {{frames: number[], tileWidth: number, tileHeight: number}} strip the sprite's tiles
 * @param {number} frameCount
 * @returns {{tile: number, left: number, width: number}[]}
 */
export function thumbnailPlaces(width, height, strip, frameCount) {
  if (!strip.frames.length || !strip.tileHeight) return [];
  const shown = Math.max(1, (strip.tileWidth * height) / strip.tileHeight);
  const count = Math.max(1, Math.ceil(width / shown));
  const places = [];
  for (let place = 0; place < count; place++) {
    const wanted = frameAtX((place + 0.5) * shown, width, frameCount);
    places.push({ tile: nearest(strip.frames, wanted), left: place * shown, width: shown });
  }
  return places;
}

function nearest(frames, wanted) {
  let best = 0;
  frames.forEach((frame, tile) => {
    if (Math.abs(frame - wanted) < Math.abs(frames[best] - wanted)) best = tile;
  });
  return best;
}

/** Which end of the range a pointer at `x` takes hold of: "first", "last" or null. */
export function rangeEndAt(x, range, width, frameCount, reach = 6) {
  const first = (range.first * width) / frameCount;
  const last = ((range.last + 1) * width) / frameCount;
  const toFirst = Math.abs(x - first);
  const toLast = Math.abs(x - last);
  if (Math.min(toFirst, toLast) > reach) return null;
  return toFirst < toLast ? "first" : "last";
}
