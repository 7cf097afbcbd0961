import assert from "node:assert/strict";
import { test } from "node:test";

import { FrameSource, readPack } from "../../app/components/canvas/frames.js";
import { Player } from "../../app/components/canvas/player.js";

const CLIP = { id: 3 };
const COUNT = 400;

/** A browser's fetch and decoder, and a server that knows the frames; counts what is asked. */
function browser(t) {
  const asked = [];
  const pack = (frames) => {
    const words = new Uint32Array([frames.length, ...frames.map(() => 1)]);
    return new Blob([words, new Uint8Array(frames.length)]);
  };
  t.mock.method(globalThis, "fetch", async (url, { signal }) => {
    const path = String(url);
    const frames = path.includes("pack")
      ? path.split("=")[1].split(",").map(Number)
      : [Number(/(\d+)\.jpg/.exec(path)[1])];
    asked.push(...frames);
    await new Promise((resolve) => setTimeout(resolve, 1));
    signal.throwIfAborted();
    return new Response(frames.length > 1 ? pack(frames) : new Blob(["x"]));
  });
  globalThis.document = { baseURI: "http://127.0.0.1/" };
  globalThis.createImageBitmap = async () => ({ close() {} });
  t.after(() => {
    delete globalThis.document;
    delete globalThis.createImageBitmap;
  });
  return asked;
}

test("a pack comes apart into its pictures", () => {
  const bytes = new Uint8Array([2, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 7, 8, 9, 5]);

  assert.deepEqual(readPack(bytes.buffer), [new Uint8Array([7, 8, 9]), new Uint8Array([5])]);
});

test("playing fetches each frame once, and has it when it is due", async (t) => {
  const asked = browser(t);
  const frames = new FrameSource(
    () => {},
    (error) => assert.fail(error),
  );
  const player = new Player(frames);
  frames.setClip(CLIP);
  player.open(COUNT, 0);
  while (!frames.get(0)) await new Promise((resolve) => setTimeout(resolve, 1));
  player.play(0);

  for (let n = 0; n < COUNT - 100; n++) {
    assert.equal(player.tick((n * 1000) / 24), n, "the frame due is the frame shown");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }

  player.stop();
  assert.equal(new Set(asked).size, asked.length, "no frame was let go before its turn");
  frames.setClip(null);
});
