/** What is asked of the server for each kind of edit, and what its answer means. */

import { decodeLayer } from "../overlay.js";
import { encode, frameList, readMasks, writeMasks } from "./runs.js";

const UNREACHABLE_STATUS = new Set([0, 401, 429, 502]);
const UNREACHABLE_CODE = new Set(["busy", "workspace-lost", "workspace"]);

/** Whether any edit asked for now would meet the same answer. */
export function meetsAny(error) {
  return UNREACHABLE_STATUS.has(error.status) || UNREACHABLE_CODE.has(error.code);
}

/**
 * Ask the server to do an edit. Asked twice with the same edit, the server does it once.
 *
 * @param {object} api
 * @param {import("./queue.js").Edit} edit
 * @param {object} known
 * @param {() => Promise<import("./state.js").FrameState>} known.stored what the store holds of the
 *   edit's frame
 * @param {string} known.refiner
 * @param {import("./readings.js").Readings} known.readings
 * @returns {Promise<{masks: import("./runs.js").FrameMask[], frames: Map<number, number[]>,
 *   reply: any}>} the frame's new masks where the answer holds them, the frames to read anew by
 *   target, and what the person who asked may want to know; `reply` is null where nothing was done
 */
export function send(api, edit, known) {
  return KINDS[edit.kind](api, edit, known);
}

const KINDS = {
  clicks: async (api, edit, { stored, refiner, readings }) => {
    const { target } = await stored();
    /** @type {Record<string, any>} */
    const body = { clicks: edit.clicks, seen: target.version, ...(refiner ? { refiner } : {}) };
    if (edit.box) body.box = [edit.box.left, edit.box.top, edit.box.right, edit.box.bottom];
    const path = `/api/targets/${edit.targetId}/frames/${edit.first}/clicks`;
    return refined(await askBinary(api, edit, path, body), edit, readings);
  },

  redraw: async (api, edit, { stored, refiner, readings }) => {
    const { target } = await stored();
    const body = { seen: target.version, ...(refiner ? { refiner } : {}) };
    const path = `/api/targets/${edit.targetId}/frames/${edit.first}/redraw`;
    return refined(await askBinary(api, edit, path, body), edit, readings);
  },

  stroke: async (api, edit, { stored }) => {
    const { size } = edit;
    const before = (await stored())[edit.layer];
    const source = { runs: before.runs, strokes: [edit] };
    const length = size.width * size.height;
    const pixels = decodeLayer(source, size, new Uint8Array(length), new Uint8Array(length));
    const runs = encode(pixels);
    const version = await saveMask(api, edit, edit.tool ?? "stroke", { ...before, runs });
    if (version !== before.version + 1) {
      // It was done when it was asked for before, on another mask than the one known now.
      return { masks: [], frames: of(edit.targetId, [edit.first]), reply: true };
    }
    const mask = { ...before, version, runs, verified: false, origin: "stroke", clicks: [] };
    return { masks: [mask], frames: new Map(), reply: true };
  },

  /** Put another reading of the last click in place of the one shown. */
  reading: async (api, edit, { readings }) => {
    const { layer, seen, runs } = edit;
    const version = await saveMask(api, edit, "click", { layer, version: seen, runs });
    readings.chosen(edit.targetId, edit.first, seen, version);
    return { masks: [], frames: of(edit.targetId, [edit.first]), reply: edit.reading };
  },

  verify: async (api, edit) => {
    const frames = Array.from({ length: edit.last - edit.first + 1 }, (_, at) => edit.first + at);
    const body = { frames, verified: edit.verified, ...(edit.empty ? { empty: true } : {}) };
    const reply = await api.post(`/api/targets/${edit.targetId}/verify`, body, edit.id);
    return { masks: [], frames: of(edit.targetId, frames), reply };
  },

  clear: async (api, edit) => {
    const body = { first: edit.first, last: edit.last };
    const reply = await api.post(`/api/targets/${edit.targetId}/clear`, body, edit.id);
    return { masks: [], frames: of(edit.targetId, framesOf(reply)), reply };
  },

  accept: async (api, edit) => {
    const { first, last, threshold, overwrite } = edit;
    const body = { first, last, threshold, overwrite_edited: overwrite };
    const reply = await api.post(`/api/drafts/${edit.draftId}/accept`, body, edit.id);
    return { masks: [], frames: of(edit.targetId, framesOf(reply)), reply };
  },

  undo: step,
  redo: step,
};

async function step(api, edit) {
  const reply = await api.post(`/api/clips/${edit.clipId}/${edit.kind}`, {}, edit.id);
  const frames = new Map();
  for (const { target_id: targetId, frame_index: frameIndex } of reply.changed) {
    frames.set(targetId, [...(frames.get(targetId) ?? []), frameIndex]);
  }
  return { masks: [], frames, reply };
}

/** Masks of a target as the store holds them; `frames` null: all. */
export async function read(api, targetId, frames) {
  const which = frames === null ? "" : `?frames=${frameList(frames)}`;
  return readMasks(await api.binary(`/api/targets/${targetId}/masks.bin${which}`)).masks;
}

/** What clicks would do, without doing it; null where another question came in between. */
export async function preview(api, targetId, frameIndex, body) {
  const path = `/api/targets/${targetId}/frames/${frameIndex}/clicks`;
  const reply = await api.binary(path, {
    method: "POST",
    body: { json: { ...body, preview: true } },
  });
  if (!reply.byteLength) return null;
  return readMasks(reply).masks[0]?.runs ?? new Uint32Array(0);
}

function askBinary(api, edit, path, json) {
  return api.binary(path, { method: "POST", body: { json }, edit: edit.id });
}

function refined(reply, edit, readings) {
  const { masks } = readMasks(reply);
  readings.note(edit.targetId, masks);
  return { masks: masks.filter(({ version }) => version > 0), frames: new Map(), reply: true };
}

async function saveMask(api, edit, kind, { layer, version, runs }) {
  const body = writeMasks(edit.size, [{ frameIndex: edit.first, layer, version, runs }]);
  const path = `/api/targets/${edit.targetId}/masks?kind=${kind}`;
  const reply = await api.binary(path, { method: "POST", body, edit: edit.id });
  const { versions } = JSON.parse(new TextDecoder().decode(reply));
  return versions.find((saved) => saved.layer === layer && saved.frame_index === edit.first)
    .version;
}

function framesOf({ versions = [] }) {
  return [...new Set(versions.map((saved) => saved.frame_index))];
}

function of(targetId, frames) {
  return new Map([[targetId, frames]]);
}
