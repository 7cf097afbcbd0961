/** What the stage says in words: nothing open, still loading, not saved, how playing keeps up. */

import { element, setText } from "../shared/dom.js";
import { button } from "./controls.js";

export function buildNotices({ retry, discard, show }) {
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
  const unsaved = element(
    "div",
    { class: "rsc-unsaved", role: "alert", hidden: true },
    sentence,
    showButton,
    button({ label: "Retry", title: "Save it again", press: retry }),
    button({ label: "Discard", title: "Give up what is not saved on this frame", press: discard }),
  );
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
     * @param {{frameIndex: number, reason: string, message: string} | null} failure
     * @param {boolean} here whether it is about the frame that is shown
     */
    showUnsaved(failure, here) {
      unsaved.hidden = !failure;
      if (!failure) return;
      showButton.hidden = here;
      const { frameIndex, reason, message } = failure;
      const what =
        reason === "stale"
          ? `Frame ${frameIndex} was changed elsewhere. Your stroke is kept, not saved.`
          : `Frame ${frameIndex} is not saved: ${message}`;
      setText(sentence, what);
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
