/** The one door to the server: every request of the page goes through here. */

// This module lives at <root>/studio/shared/, the routes at <root>/api/.
const ROOT = new URL("../../", import.meta.url);

/** Names this tab in the header X-Tab, so that it can ignore the echo of its own edits. */
export const tabId = Array.from(crypto.getRandomValues(new Uint32Array(2)), (word) =>
  word.toString(36),
).join("");

/** What the server refused, in its own sentence; `code` is a word for programs, `status` is 0 offline. */
export class ApiError extends Error {
  constructor(message, { code = "failed", status = 0 } = {}) {
    super(message);
    this.name = "ApiError";
    this.code = code;
    this.status = status;
  }
}

const OFFLINE = "The server does not answer. Is Refscribe still running? Nothing saved is lost.";

/** The full address of a path such as "/api/clips/3" or "clips/3". */
export function address(path) {
  return new URL(path.replace(/^\/?(api\/)?/, "api/"), ROOT).href;
}

/**
 * @param {string} path
 * @param {{method?: string, body?: any, type?: string, edit?: string}} options `edit` names an edit
 *   of masks: asked for twice under one name, it is done once
 */
async function send(path, { method = "GET", body, type, edit } = {}) {
  /** @type {Record<string, string>} */
  const headers = { "X-Tab": tabId };
  if (edit) headers["X-Edit"] = edit;
  if (type) headers["Content-Type"] = type;
  try {
    const reply = await fetch(address(path), { method, body, headers, cache: "no-store" });
    // Read here: a connection that breaks in the middle of an answer is no answer either.
    return { ok: reply.ok, status: reply.status, bytes: await reply.arrayBuffer() };
  } catch {
    throw new ApiError(OFFLINE, { code: "offline" });
  }
}

async function ask(path, options) {
  const { ok, status, bytes } = await send(path, options);
  if (!ok) throw refusal(status, new TextDecoder().decode(bytes));
  return bytes;
}

/** An ApiError from a reply's text: our routes say {"error", "code"}, a proxy may say anything. */
export function refusal(status, text) {
  let said = {};
  try {
    said = JSON.parse(text);
  } catch {
    // Not ours: fall through to the general sentence.
  }
  const sentence = typeof said?.error === "string" ? said.error : `The server answered ${status}.`;
  return new ApiError(sentence, { code: said?.code ?? "failed", status });
}

async function json(path, method, body = undefined, edit = undefined) {
  /** @type {{method: string, body?: string, type?: string, edit?: string}} */
  const options = { method, edit };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.type = "application/json";
  }
  const text = new TextDecoder().decode(await ask(path, options));
  return text ? JSON.parse(text) : null;
}

export const api = {
  get: (path) => json(path, "GET"),
  post: (path, body = {}, edit = undefined) => json(path, "POST", body, edit),
  patch: (path, body) => json(path, "PATCH", body),
  remove: (path) => json(path, "DELETE"),

  /** Masks as run lengths: bytes back, an ArrayBuffer. `body` is bytes, or {json: value} for clicks. */
  async binary(
    path,
    {
      method = "GET",
      body,
      edit,
    } = /** @type {{method?: string, body?: any, edit?: string}} */ ({}),
  ) {
    /** @type {{method: string, body?: any, type?: string, edit?: string}} */
    const options = { method, body, edit };
    if (body?.json !== undefined) {
      options.body = JSON.stringify(body.json);
      options.type = "application/json";
    } else if (body !== undefined) {
      options.type = "application/octet-stream";
    }
    return ask(path, options);
  },

  /** Send `file` as the raw body, telling `progress(sentBytes, totalBytes)`; resolves to the JSON reply. */
  upload(path, file, progress = (/** @type {number} */ _sent, /** @type {number} */ _total) => {}) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("POST", address(path));
      request.setRequestHeader("X-Tab", tabId);
      request.setRequestHeader("Content-Type", "application/octet-stream");
      request.upload.onprogress = (event) => progress(event.loaded, event.total || file.size);
      request.onload = () => {
        if (request.status >= 200 && request.status < 300) {
          resolve(request.responseText ? JSON.parse(request.responseText) : null);
        } else {
          reject(refusal(request.status, request.responseText));
        }
      };
      request.onerror = () => reject(new ApiError(OFFLINE, { code: "offline" }));
      request.onabort = () =>
        reject(new ApiError("The upload was cancelled.", { code: "cancelled" }));
      request.send(file);
    });
  },
};
