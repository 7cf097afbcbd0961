/** A draft's soft map at another threshold, at the frame's size.  Pure. */

import { places } from "./heat.js";

/**
 * Resize a soft map bilinearly to the frame and keep what lies above the threshold.
 *
 * Pixel centres are aligned and edges repeated, as the store does when a draft is accepted.
 *
 * @param {{width: number, height: number, values: Uint8Array}} map values are 255 * p, row by row
 * @param {{width: number, height: number}} size of the frame
 * @param {number} threshold 0..1
 * @param {Uint8Array} [pixels] written to, width * height of the frame
 * @returns {Uint8Array} 1 where the map is above the threshold
 */
export function thresholdSoftMap(
  map,
  size,
  threshold,
  pixels = new Uint8Array(size.width * size.height),
) {
  const cut = threshold * 255;
  const columns = places(map.width, size.width);
  const rows = places(map.height, size.height);
  const line = new Float32Array(map.width);
  for (let y = 0; y < size.height; y++) {
    const above = rows.first[y] * map.width;
    const below = rows.second[y] * map.width;
    const blend = rows.blend[y];
    for (let x = 0; x < map.width; x++) {
      const value = map.values[above + x];
      line[x] = value + (map.values[below + x] - value) * blend;
    }
    const row = y * size.width;
    for (let x = 0; x < size.width; x++) {
      const value = line[columns.first[x]];
      const resized = value + (line[columns.second[x]] - value) * columns.blend[x];
      pixels[row + x] = resized > cut ? 1 : 0;
    }
  }
  return pixels;
}
