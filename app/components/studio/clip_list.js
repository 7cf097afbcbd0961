/** Which clips the list shows, in which order. Pure. */

export const CLIP_STATES = ["new", "drafted", "in progress", "done"];

/** How clips can be ordered; "to do" puts the least verified first. */
export const SORTS = {
  newest: (a, b) => b.id - a.id,
  name: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }),
  "to do": (a, b) => share(a) - share(b) || a.id - b.id,
};

/** The part of a clip's frames somebody has verified, 0 to 1. */
export function share(clip) {
  return clip.frame_count ? clip.verified_frames / clip.frame_count : 0;
}

/** The clips that match what was typed and chosen, in order. */
export function chooseClips(clips, { search = "", state = "", sort = "newest" }) {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return clips
    .filter((clip) => !state || clip.state === state)
    .filter((clip) => {
      const text = `${clip.name} ${clip.concept} ${clip.category}`.toLowerCase();
      return words.every((word) => text.includes(word));
    })
    .sort(SORTS[sort]);
}
