/** Which frames of a clip a person means.  Pure. */

/** `wanted` frames spread evenly: the middles of as many equal parts; all of a shorter clip. */
export function spread(frameCount, wanted) {
  const count = Math.min(frameCount, wanted);
  const middle = (place) => Math.floor(((2 * place + 1) * frameCount) / (2 * count));
  return Array.from({ length: count }, (_, place) => middle(place));
}

/**
 * Frames as a person types them, "0, 10, 20-24", in order and once each.
 *
 * @returns {{frames: number[] | null, error: string}} null where nothing was typed or it is wrong
 */
export function readFrames(text, frameCount) {
  const last = frameCount - 1;
  if (!text.trim()) return { frames: null, error: "" };
  const found = new Set();
  for (const part of text.split(/[\s,;]+/).filter(Boolean)) {
    const ends = /^(\d{1,7})(?:[-–](\d{1,7}))?$/.exec(part);
    if (!ends) return { frames: null, error: `“${part}” is no frame: write them as 0, 10, 20-24.` };
    const [from, to] = [Number(ends[1]), Number(ends[2] ?? ends[1])];
    if (to < from || to > last)
      return { frames: null, error: `There is no frame ${part}: this clip's are 0 to ${last}.` };
    for (let frame = from; frame <= to; frame++) found.add(frame);
  }
  return { frames: [...found].sort((a, b) => a - b), error: "" };
}
