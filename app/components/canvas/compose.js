/**
 * Several masks of one frame as one picture to lay over it.  Pure.
 *
 * Works on any rectangle of the frame, so that a stroke repaints only what it touched.
 *
 * @typedef {[number, number, number]} Colour  0..255
 * @typedef {{pixels: Uint8Array, colour: Colour, manner: Manner, dash?: number, wide?: number}} Layer
 *   dash: 0 for a whole outline, 1 to 3 for broken ones that tell runs apart without colour; wide:
 *   how many times as wide as usual the outline is
 * @typedef {"fill" | "hatch" | "faint" | "line" | "dashed" | "rows" | "columns" | "shared"} Manner
 *   fill: tinted with an outline; hatch: diagonal stripes with an outline (Ignore reads without
 *   colour); faint: a thin outline and a breath of colour; line: an outline alone; dashed: the
 *   same, broken; rows, columns: stripes across or down, with an outline; shared: a breath of
 *   colour without an outline
 * @typedef {import("./brush.js").Rect} Rect
 */

const FAINT = 0.35; // of the opacity
const STRIPES = ["hatch", "rows", "columns"];
export const DASHES = [0, 4, 2, 8]; // length of a broken outline's parts, in grains

/**
 * Paint `rect` of the layers, the later ones on top, into RGBA words.
 *
 * @param {Uint32Array} words at least rect width * rect height, row by row; overwritten
 * @param {{width: number, height: number}} size of the frame
 * @param {Rect} rect
 * @param {Layer[]} layers
 * @param {{opacity: number, grain: number}} style opacity of fills, 0..1; grain = outline width in
 *   frame pixels, also the measure of stripes and dashes
 */
export function compose(words, size, rect, layers, style) {
  const columns = rect.right - rect.left;
  words.fill(0, 0, columns * (rect.bottom - rect.top));
  for (const layer of layers) paint(words, size, rect, columns, layer, style);
}

function paint(
  words,
  { width, height },
  rect,
  columns,
  { pixels, colour, manner, dash = manner === "dashed" ? 1 : 0, wide = 1 },
  { opacity, grain },
) {
  const faint = manner === "faint" || manner === "shared";
  const bare = manner === "dashed" || manner === "line";
  const part = DASHES[dash] * grain * wide;
  const fillWord = bare ? 0 : word(colour, opacity * (faint ? FAINT : 1));
  const lineWord = word(colour, faint ? 0.8 : Math.max(0.9, opacity));
  const stripeWord = word(colour, Math.min(1, opacity + 0.3));
  const sparseWord = word(colour, opacity * 0.25);
  const line = faint ? 1 : grain * wide;
  const period = 8 * grain;
  const stripe = 3 * grain;
  const along = STRIPES.indexOf(manner) + 1;
  const down = line * width;
  const lastRow = height - line;
  const lastColumn = width - line;
  for (let y = rect.top; y < rect.bottom; y++) {
    let at = y * width + rect.left;
    let out = (y - rect.top) * columns;
    const edgeRow = y < line || y >= lastRow;
    for (let x = rect.left; x < rect.right; x++, at++, out++) {
      if (!pixels[at]) continue;
      // The frame's own border is no outline: the target goes on beyond it.
      const inner =
        manner === "shared" ||
        ((x < line || pixels[at - line]) &&
          (x >= lastColumn || pixels[at + line]) &&
          (edgeRow
            ? (y < line || pixels[at - down]) && (y >= lastRow || pixels[at + down])
            : pixels[at - down] && pixels[at + down]));
      if (!inner) {
        const broken = part && (Math.floor(x / part) + Math.floor(y / part)) % 2;
        if (!broken) words[out] = lineWord;
      } else if (along) {
        const across = along === 1 ? x + y : along === 2 ? y : x;
        words[out] = across % period < stripe ? stripeWord : sparseWord;
      } else if (fillWord) {
        words[out] = fillWord;
      }
    }
  }
}

/** Little-endian RGBA, not premultiplied, as ImageData holds it. */
function word([red, green, blue], alpha) {
  return ((Math.round(alpha * 255) << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}
