/** The numbers per frame as lines under the timeline.  Pure; lengths in CSS pixels. */

/** What a strip can show of each run against the annotation. */
export const MEASURES = ["j", "f", "jf"];

/**
 * The lines of the strip: each run against the annotation, or, where nothing is annotated, how
 * well the pairs of runs agree.
 *
 * @param {object | null} reply of the server's comparison
 * @param {{key: string, letter: string, variable: string, title: string}[]} runs those compared
 * @param {"j" | "f" | "jf"} measure
 * @returns {{name: string, title: string, variable: string, values: (number | null)[],
 *   dash: number}[]}
 */
export function linesOf(reply, runs, measure) {
  if (!reply) return [];
  const lines = runs.flatMap((run) => {
    const found = reply.runs.find(({ key }) => key === run.key);
    const values = found ? valuesOf(found, measure) : [];
    if (!values.some((value) => value !== null)) return [];
    const { letter, title, variable } = run;
    return [{ name: letter, title, variable, values }];
  });
  const shown = lines.length ? lines : agreements(reply, runs);
  return shown.map((line, dash) => ({ ...line, dash }));
}

function valuesOf({ j = [], f = [] }, measure) {
  if (measure === "j") return j ?? [];
  if (measure === "f") return f ?? [];
  return (j ?? []).map((value, at) => {
    const other = f?.[at] ?? null;
    return value === null || other === null ? null : (value + other) / 2;
  });
}

function agreements(reply, runs) {
  return (reply.agreement ?? []).flatMap(({ a, b, j }) => {
    const [first, second] = [a, b].map((key) => runs.find((run) => run.key === key));
    if (!first || !second || !j.some((value) => value !== null)) return [];
    return [
      {
        name: `${first.letter}–${second.letter}`,
        title: `${first.title} and ${second.title} agree`,
        variable: second.variable,
        values: j,
      },
    ];
  });
}

/**
 * A line as strokes: gaps where there is no number; a number between two gaps is a short dash.
 *
 * @param {(number | null)[]} values 0..1
 * @param {number} width of the track
 * @param {{top: number, height: number}} row 1 is at its top
 * @returns {{x: number, y: number}[][]}
 */
export function strokesOf(values, width, { top, height }) {
  const strokes = [];
  const half = width / values.length / 2;
  let stroke = null;
  values.forEach((value, frameIndex) => {
    if (value === null || value === undefined) {
      stroke = null;
      return;
    }
    const point = { x: (2 * frameIndex + 1) * half, y: top + height * (1 - value) };
    if (stroke) stroke.push(point);
    else strokes.push((stroke = [point]));
  });
  return strokes.map((points) => {
    if (points.length > 1) return points;
    const [{ x, y }] = points;
    return [
      { x: x - half, y },
      { x: x + half, y },
    ];
  });
}

/** "A 0.812  B 0.774" of one frame. */
export function figuresAt(lines, frameIndex) {
  return lines
    .map(({ name, values }) => {
      const value = values[frameIndex];
      return `${name} ${value === null || value === undefined ? "–" : value.toFixed(3)}`;
    })
    .join("  ");
}
