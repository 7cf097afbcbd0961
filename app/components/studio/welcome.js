/** What stands in the place of the picture while no clip is open. */

import { openAddClips, requestSamples } from "./add_clips.js";
import { element, listen } from "../shared/dom.js";
import { session } from "../shared/session.js";

export function mountWelcome(root) {
  draw();
  listen(root, session, ["ready", "load-failed", "clips", "clip", "opening", "job"], draw);

  function draw() {
    const studio = document.getElementById("rs-studio");
    studio?.classList.toggle("rs-no-clip", !session.clip);
    if (session.clip) return root.replaceChildren();
    if (session.opening || (!session.ready && session.clips === null)) {
      return root.replaceChildren(
        element("div", {
          class: "rs-skeleton rs-picture-skeleton",
          "aria-label": "Loading",
          role: "img",
        }),
      );
    }
    return root.replaceChildren(session.clips?.length ? chooseOne() : begin());
  }

  function begin() {
    const busy = session.runningJobs.some((job) => ["ingest", "samples"].includes(job.kind));
    return element(
      "div",
      { class: "rs-welcome" },
      element("h2", {}, "Describe what you see. Get masks for the whole clip."),
      element(
        "ol",
        {},
        element(
          "li",
          {},
          element("b", {}, "Add a clip."),
          " Drop a video or a folder of frames anywhere on this page.",
        ),
        element(
          "li",
          {},
          element("b", {}, "Type what you see"),
          ", such as “the smoke rising from the candle”.",
        ),
        element(
          "li",
          {},
          element("b", {}, "Run a segmenter"),
          " for a draft, then correct it with clicks and the brush.",
        ),
        element("li", {}, element("b", {}, "Export"), " masks, Ignore regions and expressions."),
      ),
      element(
        "div",
        { class: "rs-row rs-centre" },
        element(
          "button",
          {
            type: "button",
            class: "rs-button rs-primary rs-large-button",
            disabled: busy,
            onclick: requestSamples,
          },
          busy ? "Adding …" : "Add the sample clips",
        ),
        element(
          "button",
          { type: "button", class: "rs-button rs-large-button", onclick: () => openAddClips() },
          "Add clips …",
        ),
      ),
    );
  }

  function chooseOne() {
    return element(
      "div",
      { class: "rs-welcome" },
      element("h2", {}, "Choose a clip on the left."),
      element("p", { class: "rs-muted" }, "Page Down opens the next one."),
      element(
        "div",
        { class: "rs-row rs-centre" },
        element(
          "button",
          {
            type: "button",
            class: "rs-button rs-primary rs-large-button",
            onclick: () => session.openClip(newest()),
          },
          "Open the newest clip",
        ),
      ),
    );
  }

  function newest() {
    return Math.max(...session.clips.map((clip) => clip.id));
  }
}
