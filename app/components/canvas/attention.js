/** Which frames deserve a look next, judged from the masks alone.  Pure. */

import { similarity } from "./agreement.js";

/**
 * How much a frame asks for a look; 0 for frames verified, edited by hand or without a mask.
 *
 * A mask that suddenly grows, shrinks or moves against its neighbours, and one that disagrees
 * with the draft shown beside it, score high.
 *
 * @param {{runs: Uint32Array, settled: boolean, draft?: Uint32Array}[]} frames in order
 * @returns {number[]} 0..1 per frame
 */
export function scores(frames) {
  return frames.map((frame, index) => {
    if (frame.settled) return 0;
    const neighbours = [frames[index - 1], frames[index + 1]].filter(Boolean);
    const has = frame.runs.length > 0;
    if (!has) {
      // A hole between two frames that have a mask is the most suspicious frame of all.
      return neighbours.length === 2 && neighbours.every((other) => other.runs.length) ? 1 : 0;
    }
    const changes = neighbours
      .filter((other) => other.runs.length)
      .map((other) => 1 - similarity(frame.runs, other.runs));
    const jump = changes.length ? Math.min(...changes) : 0;
    const disagreement = frame.draft?.length ? 1 - similarity(frame.runs, frame.draft) : 0;
    return Math.max(jump, disagreement);
  });
}

/**
 * The frame to go to from `frameIndex`: the highest score after it, coming round to the start.
 *
 * Frames scoring under `least` are fine; among those worth a look the next one in time within the
 * best third is taken, so that the person walks through the clip rather than jumping about.
 *
 * @returns {number | null} null when no frame is worth a look
 */
export function nextFrame(values, frameIndex, least = 0.08) {
  const worth = values
    .map((value, index) => ({ value, index }))
    .filter(({ value }) => value >= least);
  if (!worth.length) return null;
  const ordered = worth.map(({ value }) => value).sort((a, b) => b - a);
  const bar = ordered[Math.floor((ordered.length - 1) / 3)];
  const best = worth.filter(({ value }) => value >= bar).map(({ index }) => index);
  return (
    best.find((index) => index > frameIndex) ?? best.find((index) => index !== frameIndex) ?? null
  );
}
