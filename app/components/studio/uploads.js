/**
 * From files on the person's disk to jobs on the server: what was chosen or dropped, one by one.
 */

import { api } from "../shared/api.js";
import { session } from "../shared/session.js";

/** What the server takes, by the end of its name; GET /api/session says the same. */
export const VIDEO_SUFFIXES = [
  ...[".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".ts", ".webm"],
];
export const FRAME_SUFFIXES = [".jpg", ".jpeg", ".png"];

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
    if (file.type.startsWith("video/") || endsIn(file.name, VIDEO_SUFFIXES)) videos.push(file);
    else if (endsIn(file.name, FRAME_SUFFIXES)) {
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

function endsIn(name, suffixes) {
  const small = name.toLowerCase();
  return suffixes.some((suffix) => small.endsWith(suffix));
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
  const left = named(other);
  if (!videos.length && !folders.size) {
    session.notice(
      left
        ? `${left}: neither a video nor a JPEG or PNG picture.`
        : "There was no video and no picture in it.",
      "error",
    );
    return;
  }
  if (left) session.notice(`Left out: ${left}. Frames are taken as JPEG or PNG pictures.`, "error");
  for (const file of videos) await addVideo(file, options);
  for (const [folder, pictures] of folders) await addFrames(folder, pictures, options);
}

/** The first names of `files`, and how many there are beside them. */
function named(files) {
  const first = files.slice(0, 3).map((file) => file.name);
  if (files.length > first.length) first.push(`${files.length - first.length} more`);
  return first.join(", ");
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
  const group = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
  const total = pictures.reduce((sum, file) => sum + file.size, 0);
  let before = 0;
  await follow(title, async (tell) => {
    for (const file of pictures) {
      const fields = { name: file.name, group, folder: title, of: pictures.length, ...options };
      const path = `/api/uploads?${query(fields)}`;
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
