"""The masks message: what the store holds, what the browser reads, and nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
import tracemalloc

import numpy as np
import pytest

from annotation_store import runs
from annotation_store.masks import StoredMask
from app.notices import RefusedError
from app.routes import row_runs, wire
from tests.app.conftest import FRAMES, SIZE, disc, read_masks, write_masks
from tests.app.conftest import row_runs as row_runs_of
from tests.conftest import REPOSITORY
from video_types import Click


def stored(frame_index, mask, **more):
    facts = {
        "layer": "target",
        "version": 1,
        "origin": "stroke",
        "verified": False,
        "clicks": (),
        "base_version": 0,
    } | more
    rle = None if mask is None else runs.encode(mask)
    return StoredMask(target_id=1, frame_index=frame_index, rle=rle, **facts)


def random_masks(rng, size, count):
    return [rng.random(size) < rng.choice([0.0, 0.1, 0.5, 0.9, 1.0]) for _ in range(count)]


@pytest.mark.parametrize("seed", range(40))
def test_columns_become_rows_for_masks_of_every_shape(seed):
    rng = np.random.default_rng(seed)
    size = (int(rng.integers(1, 12)), int(rng.integers(1, 12)))
    masks = random_masks(rng, size, int(rng.integers(1, 2 * row_runs.AT_ONCE)))

    found = row_runs.row_major_runs(size, [runs.encode(mask) for mask in masks])

    assert [one.tolist() for one in found] == [row_runs_of(mask) for mask in masks]


@pytest.mark.parametrize("seed", range(40))
def test_rows_become_the_very_counts_that_painting_the_mask_gives(seed):
    rng = np.random.default_rng(seed)
    size = (int(rng.integers(1, 12)), int(rng.integers(1, 12)))
    for mask in random_masks(rng, size, 20):
        rows = row_runs_of(mask)
        if len(rows) > 1:  # a run of no length changes nothing
            place = int(rng.integers(1, len(rows)))
            rows[place:place] = [0, 0]

        counts = row_runs.column_major_counts(size, np.array(rows, dtype=np.uint32))

        assert counts == runs.encode(mask)


def test_many_ragged_masks_take_the_memory_of_few():
    random = np.random.default_rng(3)
    size = (181, 240)
    masks = [random.random(size) < 0.5 for _ in range(32)]
    counts = [runs.encode(mask) for mask in masks]

    tracemalloc.start()
    few = row_runs.row_major_runs(size, counts[:10])
    _, peak_of_few = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    many = row_runs.row_major_runs(size, counts)
    after, peak_of_many = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert [found.tolist() for found in many[:10]] == [found.tolist() for found in few]
    assert [found.tolist() for found in many] == [list(row_runs_of(mask)) for mask in masks]
    # Beside the answer itself, which is as large as the masks are many.
    assert peak_of_many - after < 1.5 * (peak_of_few - before)


def test_counts_of_another_size_are_refused():
    with pytest.raises(ValueError, match="3 rows, 2 columns"):
        row_runs.row_major_runs((3, 2), [runs.encode(np.ones((2, 2), dtype=bool))])


def test_a_message_says_everything_of_each_mask():
    clicks = (Click(4, 20.5, 31.25, True), Click(4, 7, 8, False))
    shown = [
        stored(4, disc(60, 50), version=7, origin="click", verified=True, clicks=clicks),
        stored(4, np.zeros(SIZE, dtype=bool), layer="ignore"),
        stored(5, None, version=2, origin="clear"),
    ]

    held = read_masks(wire.encode_masks(SIZE, shown))

    first = held["target", 4]
    assert np.array_equal(first.mask, disc(60, 50))
    assert (first.version, first.verified, first.origin) == (7, True, "click")
    assert first.clicks == ((20.5, 31.25, True), (7, 8, False))
    assert held["ignore", 4].mask is not None
    assert not held["ignore", 4].mask.any()
    assert held["target", 5].mask is None


def test_what_the_browser_sends_is_what_arrives():
    data = write_masks((3, "target", 2, disc(30, 40)), (9, "ignore", 0, None))

    first, second = wire.decode_masks(data, SIZE, FRAMES)

    assert (first.frame_index, first.layer, first.seen) == (3, "target", 2)
    assert np.array_equal(first.mask.decode(), disc(30, 40))
    assert (second.frame_index, second.layer, second.mask) == (9, "ignore", None)


def changed(data, place, value):
    words = np.frombuffer(data, dtype="<u4").copy()
    words[place] = value
    return words.tobytes()


GOOD = write_masks((3, "target", 2, disc(30, 40)))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "cut short"),
        (GOOD[:-1], "cut short"),
        (GOOD[:-4], "ends inside a mask"),
        (GOOD + b"\0\0\0\0", "goes on behind"),
        (changed(GOOD, 0, 1), "something else"),
        (changed(GOOD, 1, SIZE[0] + 1), "Expected masks of 120 rows"),
        (changed(GOOD, 3, 2), "ends before its last mask"),
        (changed(GOOD, 3, 2**32 - 1), "at most one mask a layer for each of the clip's 16 frames"),
        (changed(GOOD, 4, FRAMES), "Frame 16 is not in the clip"),
        (write_masks(*2 * [(3, "ignore", 0, None)]), "Frame 3 has two masks of one layer"),
        (changed(GOOD, 5, 2), "no known layer"),
        (changed(GOOD, 9, 2**32 - 1), "ends inside a mask"),
        (changed(GOOD, 10, 5), "The runs of frame 3 cover"),
        (changed(GOOD, 10, 2**32 - 1), "The runs of frame 3 cover"),
    ],
)
def test_a_damaged_message_is_refused_with_what_is_wrong(data, sentence):
    with pytest.raises(RefusedError, match=sentence):
        wire.decode_masks(data, SIZE, FRAMES)


def test_stripes_that_swell_when_they_are_turned_are_refused_before_they_fill_the_memory(
    monkeypatch,
):
    stripes = np.zeros(SIZE, dtype=bool)
    stripes[::2] = True
    data = write_masks(*[(index, "target", 0, stripes) for index in range(FRAMES)])
    monkeypatch.setattr(wire, "MOST_COUNTS", 10 * len(runs.encode(stripes)))

    with pytest.raises(RefusedError, match="Save fewer frames at once"):
        wire.decode_masks(data, SIZE, FRAMES)


def test_the_browsers_module_reads_it_too():
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    shown = [stored(4, disc(60, 50), version=7, verified=True, clicks=(Click(4, 1.5, 2, True),))]
    module = (REPOSITORY / "app" / "components" / "canvas" / "edits" / "runs.js").as_uri()
    program = (
        f"import({module!r}).then(({{ readMasks }}) => {{ const data = []; "
        "process.stdin.on('data', (part) => data.push(part)).on('end', () => { "
        "const all = new Uint8Array(Buffer.concat(data)); "
        "const { width, height, masks } = readMasks(all.buffer); "
        "const runs = Array.from(masks[0].runs); "
        "console.log(JSON.stringify({ width, height, ...masks[0], runs })); }); });"
    )

    ran = subprocess.run(
        [node, "-e", program],
        input=wire.encode_masks(SIZE, shown),
        capture_output=True,
        check=True,
    )

    assert json.loads(ran.stdout) == {
        "width": SIZE[1],
        "height": SIZE[0],
        "frameIndex": 4,
        "layer": "target",
        "version": 7,
        "verified": True,
        "origin": "stroke",
        "clicks": [{"x": 1.5, "y": 2, "positive": True}],
        "runs": row_runs_of(disc(60, 50)),
    }
