/** Brings the parts together once they are on the page. */

import { acceptDrops } from "./add_clips.js";
import { mountClipPanel } from "./clip_panel.js";
import { mountComparePanel } from "./compare_panel.js";
import { mountDraftPanel } from "./draft_panel.js";
import { mountExportPanel } from "./export_panel.js";
import { mountExpressionPanel } from "./expression_panel.js";
import { mountHeader } from "./header.js";
import { mountJobBar, mountNotices } from "./job_bar.js";
import { focusPicture, keys } from "../shared/keys.js";
import { mountPropagateState } from "./propagate_form.js";
import { mountReviewPanel } from "./review_panel.js";
import { mountSeedProblem } from "./seed.js";
import { mountSegmentState } from "./segment_form.js";
import { session } from "../shared/session.js";
import { mountTabs } from "./tabs.js";
import { keepTheme } from "./theme.js";
import { mountWelcome } from "./welcome.js";

const PARTS = {
  header: mountHeader,
  clips: mountClipPanel,
  welcome: mountWelcome,
  expressions: mountExpressionPanel,
  tabs: mountTabs,
  segment: mountSegmentState,
  seed: mountSeedProblem,
  drafts: mountDraftPanel,
  propagate: mountPropagateState,
  compare: mountComparePanel,
  review: mountReviewPanel,
  export: mountExportPanel,
  jobs: mountJobBar,
  notices: mountNotices,
};

/** Put the part called `name` into `root`; called by each gr.HTML of the page when it appears. */
export function mountPart(name, root) {
  PARTS[name](root);
  prepareRoot();
}

function prepareRoot() {
  const root = document.getElementById("rs-studio");
  if (!root || root.dataset.ready) return;
  root.dataset.ready = "yes";
  keepTheme();
  keys.bind(root);
  acceptDrops(root);
  for (const side of ["left", "right"]) {
    keys.on(`${side}-panel`, () => {
      root.classList.toggle(`rs-${side}-closed`);
      window.dispatchEvent(new Event("resize"));
    });
  }
  session.addEventListener("clip", (/** @type {CustomEvent} */ { detail }) => {
    requestAnimationFrame(() => {
      if (detail.reopened && document.activeElement === document.body) focusPicture();
    });
  });
  // Leaving a field with Escape brings the keys back to the picture.
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
    if (document.activeElement === document.body) focusPicture();
  });
  session.start();
}
