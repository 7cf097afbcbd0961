/**
 * From files on the person's disk to jobs on the server: what was chosen or dropped, one by one.
 */

import { api } from "../shared/api.js";
import { session } from "../shared/session.js";

const VIDEO = /\.(mp4|m4v|mov|mkv|webm|avi|mpg|mpeg|ogv|gif|ts)$/i;
const PICTURE = /\.(jpe?g|png|webp|bmp|tiff?)$/i;

/** Uploads under way: id -> {id, title, done, total, state, message}. Told by the session's "upload" event. */
export const uploads = new Map();
let lastId = 0;

/**
 * What a set of files becomes: each video a clip, the pictures of each folder together one clip.
 *
 * `files` is [{file, path}]; `path` is "folder/name". Returns {videos: [file], folders: Map(folder ->
 * files by name), other: [file]}.
 */
export function sortFiles(files) {
  const videos = [];
  const folders = new Map();
  const other = [];
  for (const { file, path } of files) {
    if (file.name.startsWith(".")) continue;
    if (file.type.startsWith("video/") || VIDEO.test(file.name)) videos.push(file);
    else if (PICTURE.test(file.name)) {
      const folder = path.split("/").slice(0, -1).join("/");
      if (!folders.has(folder)) folders.set(folder, []);
      folders.get(folder).push(file);
    } else other.push(file);
  }
  for (const pictures of folders.values()) {
    pictures.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
  }
  return { videos, folders, other };
}

/** The files of a drop, folders walked through. */
export async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, path: file.name }));
  const found = [];
  for (const entry of entries) await walk(entry, found);
  return found;
}

async function walk(entry, found) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    found.push({ file, path: entry.fullPath.replace(/^\//, "") });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    // A reader hands out at most a hundred names at a time, then an empty list.
    const batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!batch.length) return;
    for (const child of batch) await walk(child, found);
  }
}

/** Upload everything in `files` ([{file, path}]) with the same trim and crop; one after the other. */
export async function addFiles(files, options = {}) {
  const { videos, folders, other } = sortFiles(files);
  if (!videos.length && !folders.size) {
    const names = other
      .map((file) => file.name)
      .slice(0, 3)
      .join(", ");
    session.notice(
      names
        ? `${names}: neither a video nor a picture.`
        : "There was no video and no picture in it.",
      "error",
    );
    return;
  }
  for (const file of videos) await addVideo(file, options);
  for (const [folder, pictures] of folders) await addFrames(folder, pictures, options);
}

function query(fields) {
  const given = Object.entries(fields).filter(
    ([, value]) => value !== undefined && value !== null && value !== "",
  );
  return new URLSearchParams(given).toString();
}

async function addVideo(file, options) {
  await follow(file.name, async (tell) => {
    const reply = await api.upload(
      `/api/uploads?${query({ name: file.name, ...options })}`,
      file,
      tell,
    );
    session.takeJob(reply.job, () => addVideo(file, options));
  });
}

async function addFrames(folder, pictures, options) {
  const title = folder.split("/").pop() || "frames";
  const group = `${title.replace(/[^\w-]+/g, "-").slice(0, 40)}-${Date.now().toString(36)}`;
  const total = pictures.reduce((sum, file) => sum + file.size, 0);
  let before = 0;
  await follow(title, async (tell) => {
    for (const file of pictures) {
      const path = `/api/uploads?${query({ name: file.name, group, of: pictures.length, ...options })}`;
      const reply = await api.upload(path, file, (sent) => tell(before + sent, total));
      before += file.size;
      session.takeJob(reply?.job, () => addFrames(folder, pictures, options));
    }
  });
}

/** Show one upload in the bar below while `work(tell)` runs. */
async function follow(title, work) {
  const upload = {
    id: ++lastId,
    title: `Uploading ${title}`,
    done: 0,
    total: 0,
    state: "running",
    message: "",
  };
  const say = () => session.dispatchEvent(new CustomEvent("upload", { detail: upload }));
  uploads.set(upload.id, upload);
  say();
  try {
    await work((done, total) => {
      Object.assign(upload, { done, total });
      say();
    });
    upload.state = "done";
  } catch (error) {
    Object.assign(upload, { state: "failed", message: error.message });
    session.notice(`${title}: ${error.message}`, "error");
  } finally {
    uploads.delete(upload.id);
    say();
  }
}
