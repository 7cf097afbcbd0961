/**
 * A draft's soft map as a heat map, with the threshold as a line.  Pure.
 *
 * The colours go from dark violet over blue and green to yellow.  Lightness rises evenly, in the
 * sense of Oklab, so that equal steps of the map look equally large, in grey too.
 */

const LIGHTNESS = [0.2, 0.95];
const HUE = [300, 105]; // degrees of Oklab, from violet to yellow
const CHROMA = 0.16;
const WHITE = 0xffffffff;
const BLACK = 0xff000000;

/** The colour of `value`, 0..1, as [red, green, blue] in 0..255. */
export function heatColour(value) {
  const lightness = LIGHTNESS[0] + (LIGHTNESS[1] - LIGHTNESS[0]) * value;
  const hue = ((HUE[0] + (HUE[1] - HUE[0]) * value) * Math.PI) / 180;
  // As much colour as the screen can show at this lightness and hue, up to CHROMA.
  let low = 0;
  let high = CHROMA;
  if (isShown(linearOf(lightness, high, hue))) low = high;
  for (let step = 0; step < 12 && low < high; step++) {
    const middle = (low + high) / 2;
    if (isShown(linearOf(lightness, middle, hue))) low = middle;
    else high = middle;
  }
  return linearOf(lightness, low, hue).map((channel) => Math.round(255 * gamma(channel)));
}

/** Oklab's cylinder to linear sRGB, after its definition. */
function linearOf(lightness, chroma, hue) {
  const a = chroma * Math.cos(hue);
  const b = chroma * Math.sin(hue);
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
}

function isShown(linear) {
  return linear.every((channel) => channel >= 0 && channel <= 1);
}

function gamma(channel) {
  return channel <= 0.0031308 ? 12.92 * channel : 1.055 * channel ** (1 / 2.4) - 0.055;
}

let colours = null; // 256 colours without opacity, made when first asked for

/** The 256 colours as little-endian RGBA words of one opacity. */
export function heatWords(opacity) {
  colours ??= Uint32Array.from({ length: 256 }, (_, value) => {
    const [red, green, blue] = heatColour(value / 255);
    return (blue << 16) | (green << 8) | red;
  });
  const alpha = Math.round(opacity * 255) << 24;
  return colours.map((colour) => (colour | alpha) >>> 0);
}

/**
 * Paint a soft map at another size, bilinearly between pixel centres, with a line where it crosses
 * the threshold: white inside, black outside, so that it shows on every colour.
 *
 * @param {Uint32Array} words at least size.width * size.height, row by row; overwritten
 * @param {{width: number, height: number, values: Uint8Array}} map values are 255 * p, row by row
 * @param {{width: number, height: number}} size of the picture made
 * @param {number} threshold 0..1
 * @param {Uint32Array} palette the 256 words of heatWords
 * @param {Uint8Array} [above] scratch, as many as words
 */
export function paintHeat(
  words,
  map,
  { width, height },
  threshold,
  palette,
  above = new Uint8Array(width * height),
) {
  const cut = threshold * 255;
  const columns = places(map.width, width);
  const rows = places(map.height, height);
  const line = new Float32Array(map.width);
  for (let y = 0; y < height; y++) {
    const first = rows.first[y] * map.width;
    const second = rows.second[y] * map.width;
    const blend = rows.blend[y];
    for (let x = 0; x < map.width; x++) {
      const value = map.values[first + x];
      line[x] = value + (map.values[second + x] - value) * blend;
    }
    const row = y * width;
    for (let x = 0; x < width; x++) {
      const left = line[columns.first[x]];
      const value = left + (line[columns.second[x]] - left) * columns.blend[x];
      words[row + x] = palette[(value + 0.5) | 0];
      above[row + x] = value > cut ? 1 : 0;
    }
  }
  drawLine(words, above, width, height);
}

function drawLine(words, above, width, height) {
  for (let y = 0; y < height; y++) {
    const row = y * width;
    for (let x = 0; x < width; x++) {
      const at = row + x;
      const set = above[at];
      if (x + 1 < width && above[at + 1] !== set) {
        words[at] = set ? WHITE : BLACK;
        words[at + 1] = set ? BLACK : WHITE;
      }
      if (y + 1 < height && above[at + width] !== set) {
        words[at] = set ? WHITE : BLACK;
        words[at + width] = set ? BLACK : WHITE;
      }
    }
  }
}

/** For each of `to` places along one axis: the two of `from` it lies between, and how far. */
export function places(from, to) {
  const first = new Int32Array(to);
  const second = new Int32Array(to);
  const blend = new Float32Array(to);
  for (let place = 0; place < to; place++) {
    const source = Math.min(from - 1, Math.max(0, ((place + 0.5) * from) / to - 0.5));
    first[place] = Math.floor(source);
    second[place] = Math.min(from - 1, first[place] + 1);
    blend[place] = source - first[place];
  }
  return { first, second, blend };
}
