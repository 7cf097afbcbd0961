import assert from "node:assert/strict";
import { test } from "node:test";

import {
  bounds,
  decodeInto,
  encode,
  frameList,
  readMasks,
  writeMasks,
} from "../../app/components/canvas/edits/runs.js";

const SIZE = { width: 4, height: 3 };

test("runs go along the rows and start with background", () => {
  assert.deepEqual([...encode(Uint8Array.from([0, 1, 1, 0, 0, 0]))], [1, 2, 3]);
  assert.deepEqual([...encode(Uint8Array.from([1, 0, 0, 1]))], [0, 1, 2, 1]);
  assert.deepEqual([...encode(Uint8Array.from([0, 0]))], [2]);
});

test("decoding takes back what encoding wrote", () => {
  for (let seed = 1; seed < 40; seed++) {
    const pixels = Uint8Array.from({ length: 35 }, (_, at) => ((at * seed * 7919) >> 3) & 1);
    assert.deepEqual(decodeInto(new Uint8Array(35).fill(1), encode(pixels)), pixels);
  }
});

test("a message keeps frames, layers, versions, clicks and runs", () => {
  const runs = Uint32Array.from([5, 2, 5]);
  const clicks = [
    { x: 1.5, y: 2.25, positive: true },
    { x: 0, y: 0, positive: false },
  ];

  const { width, height, masks } = readMasks(
    writeMasks(SIZE, [
      { frameIndex: 57, layer: "ignore", version: 9, runs, clicks },
      { frameIndex: 3, layer: "target", version: 0, runs: new Uint32Array(0) },
    ]),
  );

  assert.deepEqual([width, height], [4, 3]);
  assert.equal(masks[0].frameIndex, 57);
  assert.equal(masks[0].layer, "ignore");
  assert.equal(masks[0].version, 9);
  assert.deepEqual(masks[0].clicks, clicks);
  assert.deepEqual(masks[0].runs, runs);
  assert.equal(masks[1].runs.length, 0);
});

test("flags say who made a mask and whether it was verified", () => {
  const buffer = writeMasks(SIZE, [
    { frameIndex: 0, layer: "target", version: 1, runs: Uint32Array.from([12]) },
  ]);
  new Uint32Array(buffer)[4 + 3] = 1 | (2 << 8);

  const [mask] = readMasks(buffer).masks;

  assert.equal(mask.verified, true);
  assert.equal(mask.origin, "propagation");
});

test("a message is read byte for byte as the server writes it", () => {
  const bytes = Buffer.from(
    "52534d310300000005000000010000003900000001000000030000000104000001000000050000000000c03f" +
      "00001040010000000000000001000000050000000300000006000000",
    "hex",
  );

  const { width, height, masks } = readMasks(Uint8Array.from(bytes).buffer);

  assert.deepEqual([width, height], [5, 3]);
  assert.deepEqual(masks, [
    {
      frameIndex: 57,
      layer: "ignore",
      version: 3,
      verified: true,
      origin: "stroke",
      clicks: [{ x: 1.5, y: 2.25, positive: true }],
      runs: Uint32Array.from([0, 1, 5, 3, 6]),
    },
  ]);
});

test("a damaged message is refused rather than shown", () => {
  const good = writeMasks(SIZE, [
    { frameIndex: 0, layer: "target", version: 1, runs: Uint32Array.from([4, 8]) },
  ]);
  const wrongSum = good.slice(0);
  new Uint32Array(wrongSum)[10] = 5;
  const wrongMagic = good.slice(0);
  new Uint32Array(wrongMagic)[0] = 1;

  assert.throws(() => readMasks(good.slice(0, -4)), /ends inside a mask/);
  assert.throws(() => readMasks(good.slice(0, 7)), /cut short/);
  assert.throws(() => readMasks(wrongSum), /do not fill 4x3/);
  assert.throws(() => readMasks(wrongMagic), /not a masks message/);
});

test("bounds hold every set pixel, also where a run goes round the end of a row", () => {
  assert.deepEqual(bounds(Uint32Array.from([5, 2, 5]), 4), {
    left: 1,
    top: 1,
    right: 3,
    bottom: 2,
  });
  assert.deepEqual(bounds(Uint32Array.from([3, 2, 7]), 4), {
    left: 0,
    top: 0,
    right: 4,
    bottom: 2,
  });
  assert.equal(bounds(Uint32Array.from([12]), 4), null);
  assert.equal(bounds(new Uint32Array(0), 4), null);
});

test("frame numbers are asked for in spans", () => {
  assert.equal(frameList([4, 3, 20, 9, 10, 11, 3]), "3-4,9-11,20");
  assert.equal(frameList([7]), "7");
});
