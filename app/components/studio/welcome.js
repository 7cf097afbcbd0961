// What stands in the place of the picture while no clip is open.

import { openAddClips, requestSamples } from "./add_clips.js";
import { h, listen } from "./dom.js";
import { session } from "./session.js";

export function mountWelcome(element) {
  draw();
  listen(element, session, ["ready", "load-failed", "clips", "clip", "opening", "job"], draw);

  function draw() {
    const studio = document.getElementById("rs-studio");
    studio?.classList.toggle("rs-no-clip", !session.clip);
    if (session.clip) return element.replaceChildren();
    if (session.opening || (!session.ready && session.clips === null)) {
      return element.replaceChildren(h("div", { class: "rs-skeleton rs-picture-skeleton", "aria-label": "Loading", role: "img" }));
    }
    return element.replaceChildren(session.clips?.length ? chooseOne() : begin());
  }

  function begin() {
    const busy = session.runningJobs.some((job) => ["ingest", "samples"].includes(job.kind));
    return h("div", { class: "rs-welcome" },
      h("h2", {}, "Describe what you see. Get masks for the whole clip."),
      h("ol", {},
        h("li", {}, h("b", {}, "Add a clip."), " Drop a video or a folder of frames anywhere on this page."),
        h("li", {}, h("b", {}, "Type what you see"), ", such as “the smoke rising from the candle”."),
        h("li", {}, h("b", {}, "Run a segmenter"), " for a draft, then correct it with clicks and the brush."),
        h("li", {}, h("b", {}, "Export"), " masks, Ignore regions and expressions."),
      ),
      h("div", { class: "rs-row rs-centre" },
        h("button", { type: "button", class: "rs-button rs-primary rs-large-button", disabled: busy, onclick: requestSamples }, busy ? "Adding …" : "Add the sample clips"),
        h("button", { type: "button", class: "rs-button rs-large-button", onclick: () => openAddClips() }, "Add clips …"),
      ),
    );
  }

  function chooseOne() {
    return h("div", { class: "rs-welcome" },
      h("h2", {}, "Choose a clip on the left."),
      h("p", { class: "rs-muted" }, "Page Down opens the next one."),
      h("div", { class: "rs-row rs-centre" },
        h("button", { type: "button", class: "rs-button rs-primary rs-large-button", onclick: () => session.openClip(newest()) }, "Open the newest clip"),
      ),
    );
  }

  function newest() {
    return Math.max(...session.clips.map((clip) => clip.id));
  }
}
