/**
 * Which runs of a clip are compared, and how they are called.
 *
 * A run is "annotation", or a draft as "draft:3".  Until the person picks some, the annotation is
 * compared with the draft that is shown.  Panel and canvas both stand on the one `comparison`.
 * Events: runs (which, or their names), threshold, view (how they are shown), view-wanted, numbers
 */

export const MOST_RUNS = 4;
export const ANNOTATION = "annotation";
const LETTERS = "ABCD";

/** The draft a run is, or null for the annotation. */
export function draftIdOf(key) {
  return key.startsWith("draft:") ? Number(key.slice(6)) : null;
}

/**
 * The runs that can be compared on a target: the annotation, then its drafts, newest first.
 *
 * @param {object | null} detail the open clip's {expressions, drafts}
 * @param {number | null} targetId
 * @param {{name: string, title: string}[]} segmenters
 * @returns {{key: string, title: string, full: string}[]} none without a target; `full` says all
 */
export function choicesOf(detail, targetId, segmenters) {
  if (!detail || targetId === null) return [];
  const own = new Map(
    detail.expressions.filter((each) => each.target_id === targetId).map((each) => [each.id, each]),
  );
  const drafts = detail.drafts
    .filter((draft) => own.has(draft.expression_id))
    .sort((a, b) => b.id - a.id);
  const named = drafts.map((draft) => {
    const engine =
      segmenters.find((each) => each.name === draft.segmenter)?.title ?? draft.segmenter;
    return { draft, words: `${engine} · ${own.get(draft.expression_id).label}` };
  });
  const rows = named.map(({ draft, words }) => {
    const twins = named.filter((each) => each.words === words);
    const seeds = new Set(twins.map((each) => each.draft.seed));
    const apart =
      twins.length === 1
        ? ""
        : seeds.size === twins.length
          ? ` · seed ${draft.seed}`
          : ` · draft ${draft.id}`;
    const state = draft.state === "done" ? "" : ` (${draft.state})`;
    return {
      key: `draft:${draft.id}`,
      title: words + apart,
      full: `${words}, seed ${draft.seed}, draft ${draft.id}${state}: “${draft.expression_text}”`,
    };
  });
  return [{ key: ANNOTATION, title: "Annotation", full: "The masks of the annotation" }, ...rows];
}

/** The picked runs that are still there, without repetition. */
export function kept(picked, choices) {
  const there = new Set(choices.map(({ key }) => key));
  return [...new Set(picked)].filter((key) => there.has(key)).slice(0, MOST_RUNS);
}

/**
 * What is compared while nobody picked anything: the annotation with the draft that is shown; where
 * nothing is annotated, the two newest drafts.
 */
export function usual(choices, draftId, annotated) {
  const drafts = choices.filter(({ key }) => key !== ANNOTATION).map(({ key }) => key);
  const shown = `draft:${draftId}`;
  if (annotated || drafts.length < 2) return drafts.includes(shown) ? [ANNOTATION, shown] : [];
  const first = drafts.includes(shown) ? shown : drafts[0];
  return [first, drafts.find((key) => key !== first)];
}

/** Letter and colour of each run; the annotation keeps its own colour everywhere. */
export function dressed(runs, choices) {
  let drafts = 0;
  return runs.map((key, place) => ({
    key,
    letter: LETTERS[place],
    variable: key === ANNOTATION ? "--rs-target" : `--rs-run-${++drafts}`,
    ...choices.find((each) => each.key === key),
  }));
}

export class Comparison extends EventTarget {
  #session;
  #picked = null; // keys, or null while nobody picked
  #told = "";

  /** One threshold for every draft compared, 0..1; null: each run's own. */
  threshold = null;
  /** How they are shown; the canvas keeps it. */
  view = "both";
  wanted = "both";
  numbers = { state: "none", reply: null, message: "" };
  /** Whether the target has masks of its own. */
  annotated = true;

  constructor(session) {
    super();
    this.#session = session;
    session.addEventListener("clip", ({ detail }) => {
      if (detail.reopened) this.#forget();
      this.#changed();
    });
    for (const name of ["draft", "target", "ready"])
      session.addEventListener(name, () => this.#changed());
  }

  #forget() {
    this.#picked = null;
    this.threshold = null;
  }

  /** What can be compared: {key, title, full} each. */
  get choices() {
    const { clip, targetId, segmenters } = this.#session;
    return choicesOf(clip, targetId, segmenters);
  }

  /** Whether the person picked the runs. */
  get isPicked() {
    return this.#picked !== null;
  }

  /** The runs compared, in order: {key, letter, variable, title, full} each; one alone is none. */
  get runs() {
    const { choices } = this;
    const picked = this.#picked ? kept(this.#picked, choices) : [];
    const runs = picked.length > 1 ? picked : usual(choices, this.#session.draftId, this.annotated);
    return dressed(runs, choices);
  }

  /** Compare these, in this order. */
  pick(keys) {
    this.#picked = keys;
    this.#changed();
  }

  /** Put `key` ("" for none) in a place; a run that stood elsewhere changes places with it. */
  put(place, key) {
    const keys = this.runs.map((run) => run.key);
    const before = keys.indexOf(key);
    if (!key) keys.splice(place, 1);
    else if (before >= 0 && place < keys.length)
      [keys[before], keys[place]] = [keys[place], keys[before]];
    else if (before < 0) keys[Math.min(place, keys.length)] = key;
    this.pick(keys);
  }

  setThreshold(threshold) {
    this.threshold = threshold;
    this.dispatchEvent(new CustomEvent("threshold"));
  }

  /** Have the canvas show the runs in another way. */
  want(view) {
    this.wanted = view;
    this.dispatchEvent(new CustomEvent("view-wanted"));
  }

  /** The canvas shows them so now. */
  setView(view) {
    this.view = view;
    this.dispatchEvent(new CustomEvent("view"));
  }

  /** What is known of the runs' numbers: {state: "none" | "asked" | "here" | "failed", reply, message}. */
  setNumbers(numbers) {
    this.numbers = numbers;
    this.dispatchEvent(new CustomEvent("numbers"));
  }

  /** Whether the target has masks: decides what is compared while nobody picked. */
  setAnnotated(annotated) {
    if (annotated === this.annotated) return;
    this.annotated = annotated;
    this.#changed();
  }

  #changed() {
    const now = JSON.stringify([
      this.#session.clip?.clip.id,
      this.#session.targetId,
      this.runs,
      this.choices,
    ]);
    if (now === this.#told) return;
    this.#told = now;
    this.dispatchEvent(new CustomEvent("runs"));
  }
}
