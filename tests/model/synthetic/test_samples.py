"""The sample clips show what their names say, and their expression singles out a thing."""

from __future__ import annotations

import av
import pytest

from annotation_store.clips import CATEGORIES
from model.synthetic.samples import SAMPLES, rendered, write_video


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_the_expression_of_a_sample_is_one_of_a_target(sample):
    clip = rendered(sample, size=(90, 160), frame_count=6)

    said = {text for target in clip.targets for _, text in target.expressions}
    assert sample.expression in said
    assert sample.category in CATEGORIES


def test_a_rendered_clip_becomes_a_video_of_as_many_frames(tmp_path):
    clip = rendered(SAMPLES[0], size=(91, 161), frame_count=5)

    write_video(clip, tmp_path / "sample.mp4")

    with av.open(str(tmp_path / "sample.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert [frame.shape for frame in frames] == [(90, 160, 3)] * 5
