import assert from "node:assert/strict";
import { test } from "node:test";

import { chooseClips } from "../../app/components/studio/clip_list.js";
import { sortFiles } from "../../app/components/studio/uploads.js";

const clip = (id, name, more = {}) => ({
  id,
  name,
  concept: "",
  category: "",
  state: "new",
  frame_count: 10,
  verified_frames: 0,
  ...more,
});
const ids = (clips) => clips.map(({ id }) => id);

const CLIPS = [
  clip(1, "candle 10", { state: "done", verified_frames: 10 }),
  clip(2, "Candle 9", { concept: "wax melting", verified_frames: 3 }),
  clip(3, "river", { category: "motion patterns" }),
];

test("the newest clip comes first, names count as people do, and least verified is to do first", () => {
  assert.deepEqual(ids(chooseClips(CLIPS, {})), [3, 2, 1]);
  assert.deepEqual(ids(chooseClips(CLIPS, { sort: "name" })), [2, 1, 3]);
  assert.deepEqual(ids(chooseClips(CLIPS, { sort: "to do" })), [3, 2, 1]);
});

test("every typed word has to be in the name, concept or category", () => {
  assert.deepEqual(ids(chooseClips(CLIPS, { search: "candle MELT" })), [2]);
  assert.deepEqual(ids(chooseClips(CLIPS, { search: "patterns" })), [3]);
  assert.deepEqual(ids(chooseClips(CLIPS, { search: "candle", state: "done" })), [1]);
});

test("the list it was given is left as it was", () => {
  chooseClips(CLIPS, { sort: "name" });

  assert.deepEqual(ids(CLIPS), [1, 2, 3]);
});

const file = (path, type = "") => ({ path, file: { name: path.split("/").pop(), type } });

test("videos are clips of their own, the pictures of each folder are one clip in numbered order", () => {
  const { videos, folders, other } = sortFiles([
    file("take.MOV"),
    file("shot/10.jpg"),
    file("shot/9.jpg"),
    file("shot/.DS_Store"),
    file("second/a.png"),
    file("notes.txt"),
    file("nameless", "video/mp4"),
  ]);

  assert.deepEqual(
    videos.map(({ name }) => name),
    ["take.MOV", "nameless"],
  );
  assert.deepEqual(
    folders.get("shot").map(({ name }) => name),
    ["9.jpg", "10.jpg"],
  );
  assert.deepEqual([...folders.keys()], ["shot", "second"]);
  assert.deepEqual(
    other.map(({ name }) => name),
    ["notes.txt"],
  );
});
