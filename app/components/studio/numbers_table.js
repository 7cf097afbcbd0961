/** The numbers of a comparison as rows of a table.  Pure. */

/** @type {[string, string, (run: any) => number | null | undefined][]} */
const ROWS = [
  [
    "J",
    "Region similarity: intersection over union with the annotation, Ignore left out",
    (run) => run.mean?.j,
  ],
  ["F", "Boundary similarity with the annotation, Ignore left out", (run) => run.mean?.f],
  ["J&F", "The mean of J and F", (run) => run.mean?.jf],
  [
    "Consistency",
    "Temporal consistency as the REM paper writes it: signed differences of J, over frames",
    (run) => run.temporal?.consistency,
  ],
  [
    "… absolute",
    "The same with absolute differences of J, as the figures the paper reports need",
    (run) => run.temporal?.consistency_absolute,
  ],
  [
    "J, gap 1",
    "Mean absolute difference of J from one frame to the next, as VD-IT reports it",
    (run) => run.iou_gap?.["1"],
  ],
  [
    "J, gap 5",
    "Mean absolute difference of J five frames apart, as VD-IT reports it",
    (run) => run.iou_gap?.["5"],
  ],
];

/** A figure as people read it; a dash where there is none. */
export function written(value) {
  if (value === null || value === undefined) return "–";
  return value.toFixed(3).replace("-", "−");
}

/**
 * @param {object} reply of the server's comparison
 * @param {{key: string, letter: string, title: string, full: string, variable: string}[]} runs
 * @returns {{columns: object[], rows: {name: string, title: string, values: string[]}[],
 *   agreements: {name: string, title: string, value: string}[], annotated: boolean}}
 *   a column for every draft; no rows where nothing is annotated
 */
export function tableOf(reply, runs) {
  const columns = runs.filter(({ key }) => key.startsWith("draft:"));
  const facts = columns.map(({ key }) => reply.runs.find((each) => each.key === key) ?? {});
  const annotated = facts.some(({ mean }) => mean);
  const rows = ROWS.map(([name, title, value]) => ({
    name,
    title,
    values: facts.map((each) => written(value(each))),
  }));
  const agreements = (reply.agreement ?? []).flatMap(({ a, b, mean }) => {
    const [first, second] = [a, b].map((key) => runs.find((run) => run.key === key));
    if (!first || !second) return [];
    const title = `Mean J of ${first.title} and ${second.title}`;
    return [{ name: `${first.letter}–${second.letter}`, title, value: written(mean) }];
  });
  return { columns, rows: annotated ? rows : [], agreements, annotated };
}
