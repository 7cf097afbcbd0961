"""Every figure by hand on a small case, and against the official tools' numbers where they are."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from model import metrics
from model.metrics import ScoredMask


@pytest.fixture(scope="module")
def golden(shared):
    folder = shared / "reference"
    return folder, json.loads((folder / "metrics_expected.json").read_text())


def square(top: int, left: int, side: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    mask = np.zeros(size, dtype=bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_j_counts_shared_pixels_and_leaves_ignore_out():
    mask, truth = square(0, 0, 4), square(0, 2, 4)
    ignore = np.zeros((48, 64), dtype=bool)
    ignore[:, :2] = True

    assert metrics.region_similarity(mask, truth) == 8 / 24
    assert metrics.region_similarity(mask, truth, ignore) == 8 / 16


def test_two_empty_masks_agree():
    empty = np.zeros((48, 64), dtype=bool)

    assert metrics.region_similarity(empty, empty) == 1
    assert metrics.boundary_similarity(empty, empty) == 1


def test_f_forgives_a_shift_of_a_pixel_but_not_of_many():
    truth = square(10, 10, 12)

    assert metrics.boundary_similarity(square(10, 11, 12), truth) == 1
    assert metrics.boundary_similarity(square(30, 40, 12), truth) == 0


def test_masks_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match="48 rows and 64 columns"):
        metrics.region_similarity(square(0, 0, 3, (64, 48)), square(0, 0, 3))


def test_overall_iou_weighs_by_area_and_the_best_score_speaks_for_a_sample():
    large, small = square(0, 0, 20), square(0, 0, 2)
    proposals = [
        [ScoredMask(small, 0.2), ScoredMask(large, 0.9)],
        [ScoredMask(square(30, 30, 2), 0.5)],
    ]

    figures = metrics.overlap_figures(proposals, [large, small])

    assert figures["P@0.9"] == 0.5
    assert figures["mean_iou"] == pytest.approx(0.5, abs=1e-6)
    assert figures["overall_iou"] == pytest.approx(400 / 408, abs=1e-6)


def test_decay_is_the_first_quarter_less_the_last():
    over_time = metrics.over_time([1.0] * 4 + [0.5] * 4 + [0.0] * 4)

    assert over_time.mean == 0.5
    assert over_time.recall == pytest.approx(4 / 12)
    assert over_time.decay == 1.0


def test_differences_over_a_gap_longer_than_the_clip_are_refused():
    with pytest.raises(ValueError, match="more than 5 frames, got 3"):
        metrics.overlap_differences([1.0, 0.5, 1.0], gap=5)


def test_j_and_f_equal_the_official_ones_on_every_pair(golden):
    folder, expected = golden
    pairs = np.load(folder / "metrics_jf_masks.npz")
    for case in expected["jf_pairs"]:
        number = f"{case['index']:02d}"
        mask, truth = (pairs[f"{kind}_{number}"].astype(bool) for kind in ("pred", "gt"))
        void = pairs[f"void_{number}"].astype(bool) if case["has_void"] else None

        assert metrics.region_similarity(mask, truth, void) == case["J"], case["name"]
        assert metrics.boundary_similarity(mask, truth, void) == case["F"], case["name"]
        assert metrics.boundary_pixels(truth.shape) == case["bound_pix"], case["name"]


def test_a_sequence_of_several_targets_is_matched_and_summed_like_the_official_one(golden):
    folder, expected = golden
    sequence = np.load(folder / "metrics_davis_sequence.npz")
    wanted = expected["davis_sequence"]

    region, boundary, partners = metrics.match_targets(
        sequence["pred"].astype(bool), sequence["gt"].astype(bool), sequence["void"].astype(bool)
    )

    assert np.allclose(region.mean(axis=2), wanted["J_matrix_mean"], atol=1e-12)
    assert np.allclose(boundary.mean(axis=2), wanted["F_matrix_mean"], atol=1e-12)
    assert partners == wanted["col_ind"]
    both = []
    for row, partner in enumerate(partners):
        stats = wanted["stats_mean_recall_decay"][row]
        for name, values in (("J", region[row, partner]), ("F", boundary[row, partner])):
            found = metrics.over_time(values)
            assert np.allclose(values, wanted[f"{name}_per_frame"][row], atol=1e-12)
            assert np.allclose([found.mean, found.recall, found.decay], stats[name], atol=1e-12)
            both.append(found.mean)
    assert np.mean(both) == pytest.approx(wanted["JF_mean"], abs=1e-12)


def test_targets_are_paired_as_no_other_pairing_would_be_better():
    rng = np.random.default_rng(0)
    truths = rng.random((4, 2, 8, 12)) < 0.4
    masks = truths[[2, 0, 3]] ^ (rng.random((3, 2, 8, 12)) < 0.3)

    region, boundary, partners = metrics.match_targets(masks, truths)

    worth = (region.mean(axis=2) + boundary.mean(axis=2)) / 2
    every = [sum(worth[range(3), p]) for p in itertools.permutations(range(4), 3)]
    assert sum(worth[range(3), partners]) == max(every)


def test_a_crowd_of_targets_is_paired_and_one_more_than_there_are_is_refused():
    truths = [[square(row, column, 4)] for row in (0, 20, 40) for column in (0, 15, 30, 45)]

    _, _, partners = metrics.match_targets(truths[::-1], truths)

    assert partners == list(range(12))[::-1]
    with pytest.raises(ValueError, match="no more proposed targets than true ones, got 12 and 11"):
        metrics.match_targets(truths, truths[1:])


def test_temporal_figures_equal_the_published_formulas(golden):
    folder, expected = golden
    clip = np.load(folder / "metrics_temporal.npz")
    truths, masks = clip["gt"].astype(bool), clip["pred"].astype(bool)
    wanted = expected["temporal"]

    overlaps = [metrics.region_similarity(m, t) for m, t in zip(masks, truths, strict=True)]
    found = metrics.temporal_consistency(overlaps)

    assert np.allclose(overlaps, wanted["iou_per_frame"], atol=1e-12)
    assert found.signed_over_frames == pytest.approx(wanted["signed_sum_over_T"])
    assert found.absolute_over_frames == pytest.approx(wanted["abs_sum_over_T"])
    assert found.mean_signed == pytest.approx(wanted["mean_signed_diff"])
    assert found.mean_signed == pytest.approx(wanted["signed_telescopes_to"])
    assert found.mean_absolute == pytest.approx(wanted["mean_abs_diff"])
    assert metrics.steadiness(list(masks)) == pytest.approx(
        wanted["pred_pred_iou_consecutive_mean"]
    )
    for gap in (1, 5):
        steps = metrics.overlap_differences(overlaps, gap=gap)
        strided = metrics.overlap_differences(overlaps, gap=gap, strided=True)
        name = f"iou_diff_interval_{gap}"
        assert np.abs(steps).mean() == pytest.approx(wanted[f"{name}_abs_overlapping"])
        assert steps.mean() == pytest.approx(wanted[f"{name}_signed_overlapping"])
        assert np.abs(strided).mean() == pytest.approx(wanted[f"{name}_abs_strided"])


# pycocotools 2.0.11 with numpy 2 says this of itself.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_expression_figures_equal_the_official_ones(golden):
    mask_tools = pytest.importorskip("pycocotools.mask")
    folder, expected = golden
    truth = json.loads((folder / "metrics_a2d_gt_coco.json").read_text())
    predictions = json.loads((folder / "metrics_a2d_predictions.json").read_text())
    samples = [
        [
            ScoredMask(
                mask_tools.decode(prediction["segmentation"]).astype(bool), prediction["score"]
            )
            for prediction in predictions
            if prediction["image_id"] == image["id"]
        ]
        for image in truth["images"]
    ]
    by_image = {each["image_id"]: each["segmentation"] for each in truth["annotations"]}
    truths = [mask_tools.decode(by_image[image["id"]]).astype(bool) for image in truth["images"]]

    figures = metrics.overlap_figures(samples, truths)
    figures |= metrics.average_precision(truth, predictions)

    assert figures == pytest.approx(expected["a2d"], abs=1e-6)
