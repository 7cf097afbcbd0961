/** Another reading of a click, chosen from the answer to that click. */

import { touches } from "./queue.js";

/**
 * Put the refiner's next reading of a frame's last click in place of the one shown. What is on its
 * way to the frame is waited for: it is what the answer is to.
 *
 * @param {import("./queue.js").Place} place one frame
 * @param {{width: number, height: number}} size of the frame
 * @param {object} known
 * @param {import("./edits.js").Edits} known.edits
 * @param {import("./open_masks.js").OpenMasks} known.masks
 * @param {import("./readings.js").Readings} known.readings
 * @param {(sentence: string) => void} refuse is told why there is none
 * @returns {Promise<{place: number, count: number} | null>} null where there is none
 */
export async function nextReading(place, size, { edits, masks, readings }, refuse) {
  let targetId, seen;
  do {
    if (!(await edits.settled(place))) {
      refuse(`Frame ${place.first} is not saved: its other readings come with the answer.`);
      return null;
    }
    targetId = place.targetId ?? edits.targetMadeFor(place.clipId);
    seen = (await masks.stored({ ...place, targetId })).target.version;
  } while (edits.waiting.some((edit) => touches(edit, targetId, place.first)));
  const next = readings.next(targetId, place.first, seen);
  if (!next) {
    refuse("The refiner has no other reading here: they come with the first click on a frame.");
    return null;
  }
  const { runs, ...reading } = next;
  return edits.add({
    ...place,
    targetId,
    kind: "reading",
    layer: "target",
    seen,
    runs,
    reading,
    size,
  });
}
