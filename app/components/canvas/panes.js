/**
 * The stage cut into panes of one size, so that several runs are seen side by side.  Pure.
 *
 * @typedef {{left: number, top: number, width: number, height: number}} Pane  CSS pixels of the stage
 * @typedef {{width: number, height: number}} Size
 */

export const MOST_PANES = 4;
const GAP = 2; // CSS pixels

/**
 * Cut the stage into `count` panes, in the rows and columns that show the frame largest.
 *
 * @param {number} count 1..4
 * @param {Size} stage
 * @param {Size} image only its shape matters
 * @returns {Pane[]} row by row
 */
export function cutPanes(count, stage, image) {
  let best = { scale: -1, columns: 1 };
  for (let columns = 1; columns <= count; columns++) {
    const { width, height } = paneSize(count, columns, stage);
    const scale = Math.min(width / image.width, height / image.height);
    if (scale > best.scale) best = { scale, columns };
  }
  const { columns } = best;
  const { width, height } = paneSize(count, columns, stage);
  return Array.from({ length: count }, (_, index) => ({
    left: (index % columns) * (width + GAP),
    top: Math.floor(index / columns) * (height + GAP),
    width,
    height,
  }));
}

function paneSize(count, columns, stage) {
  const rows = Math.ceil(count / columns);
  return {
    width: Math.max(1, Math.floor((stage.width - GAP * (columns - 1)) / columns)),
    height: Math.max(1, Math.floor((stage.height - GAP * (rows - 1)) / rows)),
  };
}

/** The index of the pane at a point of the stage; between two panes, the nearer one. */
export function paneAt(panes, point) {
  let found = 0;
  let nearest = Infinity;
  panes.forEach(({ left, top, width, height }, index) => {
    const dx = Math.max(left - point.x, 0, point.x - left - width);
    const dy = Math.max(top - point.y, 0, point.y - top - height);
    if (dx + dy >= nearest) return;
    nearest = dx + dy;
    found = index;
  });
  return found;
}
