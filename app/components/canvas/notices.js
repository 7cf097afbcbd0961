/** What the stage says in words: nothing open, still loading, not saved, how playing keeps up. */

import { element, setText } from "../shared/dom.js";
import { count } from "../shared/words.js";
import { button } from "./controls.js";

/**
 * @param {{retry: () => void, discard: () => void, show: () => void, save: () => void,
 *   forget: () => void}} acts what the person can do about edits that are not saved; `save` and
 *   `forget` are about those another page left
 */
export function buildNotices({ retry, discard, show, save, forget }) {
  const empty = element("p", { class: "rsc-empty", hidden: true });
  const skeleton = element("div", { class: "rsc-skeleton", "aria-hidden": "true", hidden: true });
  const stats = element("output", {
    class: "rsc-stats",
    "aria-label": "How playing keeps up",
    "aria-live": "off",
    hidden: true,
  });
  const sentence = element("span", { class: "rsc-unsaved-text" });
  const showButton = button({
    label: "Show",
    title: "Go to the frame that is not saved",
    press: show,
  });
  const retryButton = button({ label: "Retry", title: "Save it again", press: retry });
  const discardButton = button({
    label: "Discard",
    title: "Give up what is not saved on this frame",
    press: discard,
  });
  const saveButton = button({ label: "Save", title: "Save what another page left", press: save });
  const forgetButton = button({
    label: "Discard",
    title: "Give up what another page left",
    press: forget,
  });
  const unsaved = element(
    "div",
    { class: "rsc-unsaved", role: "alert", hidden: true },
    sentence,
    ...[showButton, retryButton, discardButton, saveButton, forgetButton],
  );
  const say = (words, buttons) => {
    unsaved.hidden = !words;
    if (!words) return;
    setText(sentence, words);
    for (const each of [showButton, retryButton, discardButton, saveButton, forgetButton]) {
      each.hidden = !buttons.includes(each);
    }
  };
  return {
    nodes: [skeleton, empty, stats, unsaved],

    /** @param {string} text "" when there is a clip */
    showEmpty(text) {
      empty.hidden = !text;
      setText(empty, text);
    },

    showLoading(loading, rect) {
      skeleton.hidden = !loading;
      if (!loading) return;
      skeleton.style.left = `${rect.left}px`;
      skeleton.style.top = `${rect.top}px`;
      skeleton.style.width = `${rect.width}px`;
      skeleton.style.height = `${rect.height}px`;
    },

    /**
     * Say what is not saved.
     *
     * @param {{reason: string, message: string, edits: number, place: string, isHere: boolean}}
     *   problem `place` in words; `isHere`: it is about the frame that is shown
     */
    showUnsaved({ reason, message, edits, place, isHere }) {
      const others = edits > 1 ? ` ${count(edits, "edit")} in all.` : "";
      const shown = isHere ? [] : [showButton];
      if (reason === "unreachable") {
        const kept = `${count(edits, "edit is", "edits are")} kept here until`;
        say(`${message} ${kept} the server takes them.`, [retryButton]);
      } else if (reason === "stale") {
        const words = `${place} was changed elsewhere. Your edit is kept, not saved.${others}`;
        say(words, [...shown, retryButton, discardButton]);
      } else {
        say(`${place} is not saved: ${message}${others}`, [...shown, retryButton, discardButton]);
      }
    },

    /** Offer what other pages left. @param {{at: number, clipId: number}[]} edits oldest first */
    showRecovered(edits) {
      if (!edits.length) return say("", []);
      const day = new Date(edits.at(-1).at);
      const when = day.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
      const clips = count(new Set(edits.map(({ clipId }) => clipId)).size, "clip");
      const what = `${count(edits.length, "edit")} of ${clips}`;
      return say(`A page was closed before ${what} was saved (${when}).`, [
        saveButton,
        forgetButton,
      ]);
    },

    get statsShown() {
      return !stats.hidden;
    },

    toggleStats() {
      stats.hidden = !stats.hidden;
    },

    showStats({ shown, due, rate, playing, drawMs, clickMs, cached }) {
      const parts = [
        `${rate.toFixed(1)} fps`,
        `${shown} / ${due} shown${playing ? "" : " (stopped)"}`,
        `drawn in ${drawMs.toFixed(1)} ms`,
        `${cached} frames at hand`,
      ];
      if (clickMs !== null) parts.push(`last click ${clickMs.toFixed(0)} ms`);
      setText(stats, parts.join("\n"));
    },
  };
}
