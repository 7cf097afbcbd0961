/** Which of a segmenter's queries a draft shows, where the segmenter asks several. */

import { api } from "../shared/api.js";
import { element } from "../shared/dom.js";
import { picker } from "./controls.js";
import { session } from "../shared/session.js";

/** Words for one query: `queryWords({ index: 2, score: 0.834 })` is "3, score 0.83". */
export function queryWords({ index, score }) {
  return `${index + 1}, score ${score.toFixed(2)}`;
}

/** A row with all queries of `draft`; choosing one makes it the draft's masks. */
export function queryChoice(draft) {
  const place = element("span", { class: "rs-ellipsis" }, `${draft.query + 1}`);
  fill(draft, place);
  return element("label", { class: "rs-slider-row" }, "Query", place);
}

async function fill(draft, place) {
  let queries;
  try {
    queries = await api.get(`/api/drafts/${draft.id}/queries`);
  } catch {
    return; // the draft is gone, or the connection: the number alone stays
  }
  const options = queries.map((each) => [`${each.index}`, queryWords(each)]);
  place.replaceChildren(
    picker("Query whose masks these are", options, `${draft.query}`, (index) =>
      choose(draft, Number(index)),
    ),
  );
}

async function choose(draft, index) {
  await session.change(() => api.post(`/api/drafts/${draft.id}/query`, { index }));
  await session.reloadClip();
}
