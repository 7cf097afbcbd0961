/**
 * The line below: what runs, how far it is, how long it will take; what failed; lost connections.
 */

import { api } from "../shared/api.js";
import { element, listen } from "../shared/dom.js";
import { count, duration, size } from "../shared/words.js";
import { iconButton } from "./controls.js";
import { keys } from "../shared/keys.js";
import { session } from "../shared/session.js";
import { uploads } from "./uploads.js";

const FAREWELL_MS = 6000;
const PAUSABLE = ["propagate"]; // a resting segmenter would keep its network from the next

export function mountJobBar(root) {
  const ended = new Map(); // job id -> job, shown for a while after it ended (failures until dismissed)
  const seen = new Set(); // running jobs this page has watched
  const line = element("div", { class: "rs-job-line" });
  let unsaved = 0; // edits
  let failure = ""; // of reading who we are and what there is
  root.replaceChildren(line);
  draw();
  keys.on("pause", () => {
    const job = session.runningJobs.find((each) => each.kind === "propagate");
    if (job) pause(job);
    else session.notice("Nothing is being propagated.");
  });
  listen(root, session, ["upload", "connection", "worker", "ready", "load-failed", "clip"], draw);
  listen(root, session, ["saved"], ({ detail }) => {
    if (detail.unsaved === unsaved) return;
    unsaved = detail.unsaved;
    draw();
  });
  listen(root, session, ["load-failed"], ({ detail }) => {
    failure = detail.message;
    draw();
  });
  listen(root, session, ["job"], ({ detail }) => {
    const { job } = detail;
    if (["queued", "running"].includes(job.state)) seen.add(job.id);
    else if (detail.ended && !detail.first) {
      ended.set(job.id, job);
      if (job.state !== "failed") setTimeout(() => dismiss(job.id), FAREWELL_MS);
    }
    draw();
  });

  function dismiss(id) {
    ended.delete(id);
    draw();
  }

  function draw() {
    const rows = [];
    if (session.connected === false) {
      rows.push(
        problem("The connection to Refscribe is lost. Trying again …", "Try now", () =>
          session.retry(),
        ),
      );
    } else if (session.worker.state === "down") {
      rows.push(
        problem(
          session.worker.message || "The model process stopped and is being started again.",
          "",
          null,
        ),
      );
    }
    const failed = [...ended.values()].filter((job) => job.state === "failed");
    rows.push(...failed.slice(-2).map(drawFailed));
    const running = session.runningJobs;
    const active = [
      ...[...uploads.values()].map(drawUpload),
      ...running
        .sort((a, b) => Number(b.state === "running") - Number(a.state === "running"))
        .map(drawJob),
    ];
    rows.push(...active.slice(0, 2));
    if (active.length > 2)
      rows.push(element("span", { class: "rs-muted" }, `and ${active.length - 2} more`));
    if (!rows.length) rows.push(...[...ended.values()].slice(-1).map(drawEnded));
    if (failure && !session.ready) {
      rows.unshift(problem(failure, "Try again", () => session.retry()));
    }
    if (!rows.length) rows.push(idle());
    line.replaceChildren(...rows);
  }

  function idle() {
    const saving = session.clip ? "Ready. Everything is saved as it happens." : "Ready.";
    const words = unsaved
      ? `${count(unsaved, "edit is", "edits are")} not in the store yet.`
      : saving;
    return element("span", { class: "rs-muted" }, session.ready ? words : "Starting …");
  }

  function problem(text, verb, act) {
    return element(
      "div",
      { class: "rs-job rs-problem", role: "alert" },
      element("span", { class: "rs-ellipsis" }, text),
      act
        ? element("button", { type: "button", class: "rs-button rs-small", onclick: act }, verb)
        : null,
    );
  }

  function meter(done, total, label) {
    const bar = element("progress", { class: "rs-meter", "aria-label": label, max: total || 1 });
    if (total) bar.value = done;
    else bar.removeAttribute("value");
    return bar;
  }

  function drawUpload(upload) {
    const megabytes = (bytes) => (bytes / 1e6).toFixed(1);
    return element(
      "div",
      { class: "rs-job" },
      element("span", { class: "rs-ellipsis", title: upload.title }, upload.title),
      meter(upload.done, upload.total, upload.title),
      element(
        "span",
        { class: "rs-muted rs-number" },
        upload.total ? `${megabytes(upload.done)} / ${megabytes(upload.total)} MB` : "",
      ),
    );
  }

  function drawJob(job) {
    const left =
      job.seconds_left !== null && job.seconds_left !== undefined && job.state === "running"
        ? `${duration(job.seconds_left)} left`
        : "";
    return element(
      "div",
      { class: "rs-job", dataset: { job: job.id, state: job.state } },
      element("span", { class: "rs-ellipsis", title: job.title }, job.title),
      job.stage ? element("span", { class: "rs-muted rs-ellipsis" }, job.stage) : null,
      meter(job.done, job.total, job.title),
      element(
        "span",
        { class: "rs-number" },
        job.paused ? "paused" : job.state === "queued" ? "waiting" : howFar(job),
      ),
      element("span", { class: "rs-muted rs-number" }, left),
      PAUSABLE.includes(job.kind)
        ? element(
            "button",
            {
              type: "button",
              class: "rs-button rs-small",
              "aria-label": `${job.paused ? "Go on" : "Pause"}: ${job.title}`,
              onclick: () => pause(job),
            },
            job.paused ? "Go on" : "Pause",
          )
        : null,
      element(
        "button",
        {
          type: "button",
          class: "rs-button rs-small",
          "aria-label": `Cancel: ${job.title}`,
          onclick: (event) => cancel(job, event.currentTarget),
        },
        "Cancel",
      ),
    );
  }

  function drawFailed(job) {
    return element(
      "div",
      { class: "rs-job rs-problem", role: "alert", dataset: { job: job.id, state: job.state } },
      element(
        "span",
        { class: "rs-ellipsis", title: `${job.title}: ${job.message}` },
        `${job.title}: ${job.message}`,
      ),
      session.retryOf(job)
        ? element(
            "button",
            { type: "button", class: "rs-button rs-small", onclick: () => retry(job) },
            "Try again",
          )
        : null,
      iconButton("close", "Dismiss", () => dismiss(job.id)),
    );
  }

  function retry(job) {
    dismiss(job.id);
    session.retryOf(job)();
  }

  function drawEnded(job) {
    const kept = job.kind === "fetch" ? "" : ", what was done is kept";
    const words =
      job.state === "cancelled" ? `${job.title}: cancelled${kept}` : `${job.title}: done`;
    return element(
      "span",
      { class: "rs-done-line", role: "status" },
      job.message && job.state === "done" ? `${words}. ${job.message}` : words,
    );
  }

  async function cancel(job, button) {
    button.disabled = true;
    await session.request(() => api.post(`/api/jobs/${job.id}/cancel`));
  }
}

function howFar({ kind, done, total }) {
  if (kind === "fetch") return total ? `${size(done)} / ${size(total)}` : "";
  return total ? `${done} / ${total}` : `${done || ""}`;
}

async function pause(job) {
  await session.request(() => api.post(`/api/jobs/${job.id}/${job.paused ? "resume" : "pause"}`));
}

/** Sentences that come and go above the bar. */
export function mountNotices(root) {
  listen(root, session, ["notice"], ({ detail }) => {
    const same = [...root.children].find((each) => each.dataset.text === detail.text);
    same?.remove();
    const row = element(
      "div",
      {
        class: `rs-notice rs-${detail.kind}`,
        role: detail.kind === "error" ? "alert" : "status",
        dataset: { text: detail.text },
      },
      element("span", {}, detail.text),
      detail.action
        ? element(
            "button",
            {
              type: "button",
              class: "rs-button rs-small",
              onclick: () => {
                row.remove();
                detail.action.run();
              },
            },
            detail.action.label,
          )
        : null,
      iconButton("close", "Dismiss", () => row.remove()),
    );
    root.append(row);
    while (root.children.length > 3) root.firstChild.remove();
    setTimeout(() => row.remove(), detail.kind === "error" ? 20_000 : 5_000);
  });
}
