"""What is compared: drafts and annotations of one clip, each as a run that can be named."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from annotation_store.clips import Clip, get_clip
from annotation_store.drafts import Draft, draft_masks_of, drafts_of
from annotation_store.errors import NotFoundError
from annotation_store.expressions import Expression, expressions_of
from annotation_store.masks import masks_of
from annotation_store.targets import get_target
from annotation_store.workspace import Workspace
from app.notices import RefusedError

MOST_RUNS = 8
ANNOTATION = "annotation"
_KEY = re.compile(r"(draft|target):([1-9][0-9]{0,9})")


@dataclass(frozen=True)
class Run:
    """Masks of one clip and where they come from.

    Attributes:
        key: "draft:3"; "target:7" for what target 7 holds, by hand or imported; "annotation" for
            what the target compared against holds.
        title: tells it from the other runs compared with it.
        segmenter: its name in the catalog, "annotation" for a target's masks.
        weights_hash, seed, threshold: as the draft was made; "", None and None for a target.
        query: which of the segmenter's answers these are; None where it gives but one.
        place: of its expression among the clip's, counted from 0, as data sets number them.
        masks: COCO counts by frame index.
        target_id: whose masks these are; None for a draft.
    """

    key: str
    title: str
    segmenter: str
    expression: str
    weights_hash: str
    seed: int | None
    threshold: float | None
    query: int | None
    place: int
    masks: Mapping[int, bytes] = field(repr=False)
    target_id: int | None = None


@dataclass(frozen=True)
class Annotation:
    """A target's masks and its Ignore, COCO counts by frame index."""

    target_id: int
    masks: Mapping[int, bytes] = field(repr=False)
    ignore: Mapping[int, bytes] = field(repr=False)


@dataclass(frozen=True)
class Compared:
    """Several runs of one clip, and what they are measured against."""

    clip: Clip
    runs: tuple[Run, ...]
    annotation: Annotation | None


def load(
    workspace: Workspace, clip_id: int, keys: Sequence[str], target_id: int | None
) -> Compared:
    """The runs called `keys` as the store holds them at one moment.

    They are measured against target `target_id`, or the one the first draft's expression is of.

    Raises:
        RefusedError: a key is none, or there are none or too many.
        NotFoundError: a run or the target is not of this clip.
    """
    keys = list(dict.fromkeys(keys))
    with workspace.read() as connection:
        clip = get_clip(connection, clip_id)
        if not 1 <= len(keys) <= MOST_RUNS:
            raise RefusedError(f"Expected one to {MOST_RUNS} runs to compare, got {len(keys)}.")
        found = drafts_of(connection, clip_id)
        drafts = {draft.id: draft for draft in found if f"draft:{draft.id}" in keys}
        expressions = expressions_of(connection, clip_id)
        if target_id is None:
            target_id = _usual_target(keys, drafts, expressions)
        annotation = None if target_id is None else _annotation(connection, clip, target_id)
        runs = [_run(connection, clip, key, drafts, expressions, annotation) for key in keys]
    return Compared(clip, tuple(_told_apart(runs)), annotation)


def _usual_target(
    keys: Sequence[str], drafts: Mapping[int, Draft], expressions: Sequence[Expression]
) -> int | None:
    target_of = {one.id: one.target_id for one in expressions}
    for key in keys:
        kind, _, number = key.partition(":")
        if kind == "draft" and number.isdecimal() and int(number) in drafts:
            return target_of.get(drafts[int(number)].expression_id)
    return None


def _annotation(connection: Connection, clip: Clip, target_id: int) -> Annotation:
    if get_target(connection, target_id).clip_id != clip.id:
        raise NotFoundError(f"There is no target {target_id} in “{clip.name}”.")
    layers: dict[str, dict[int, bytes]] = {"target": {}, "ignore": {}}
    for one in masks_of(connection, target_id):
        if one.rle is not None:
            layers[one.layer][one.frame_index] = one.rle
    return Annotation(target_id, layers["target"], layers["ignore"])


def _run(
    connection: Connection,
    clip: Clip,
    key: str,
    drafts: Mapping[int, Draft],
    expressions: Sequence[Expression],
    annotation: Annotation | None,
) -> Run:
    if key == ANNOTATION and annotation is not None:
        return _annotated(connection, key, annotation, expressions)
    found = _KEY.fullmatch(key)
    if found is None:
        raise RefusedError(f"Expected runs such as draft:3,draft:5, got {key[:40]!r}.")
    number = int(found[2])
    if found[1] == "target":
        return _annotated(connection, key, _annotation(connection, clip, number), expressions)
    draft = drafts.get(number)
    places = {one.id: (place, one) for place, one in enumerate(expressions)}
    if draft is None:
        raise NotFoundError(f"There is no draft {number} in “{clip.name}”; it may be discarded.")
    place, of = places[draft.expression_id]
    seed = f", seed {draft.seed}" if draft.seed else ""
    return Run(
        key,
        f"{engine_title(draft.segmenter)} {of.label}{seed}",
        draft.segmenter,
        draft.expression_text,
        draft.weights_hash,
        draft.seed,
        draft.threshold,
        draft.query,
        place,
        dict(draft_masks_of(connection, number)),
    )


def _annotated(
    connection: Connection, key: str, annotation: Annotation, expressions: Sequence[Expression]
) -> Run:
    target = get_target(connection, annotation.target_id)
    own = [(place, one.text) for place, one in enumerate(expressions) if one.target_id == target.id]
    place, text = own[0] if own else (0, "")
    title = f"Annotation, {target.name or f'target {target.number}'}"
    return Run(
        key, title, ANNOTATION, text, "", None, None, None, place, annotation.masks, target.id
    )


def engine_title(name: str) -> str:
    """How the page calls the segmenter `name`; the name itself for what the catalog lacks."""
    from model import catalog
    from model.segmenter import ModelError

    try:
        return catalog.entry(name).title
    except ModelError:
        return name


def engine_limits(name: str) -> str:
    """What of an expression the segmenter `name` does not see, as a sentence; "" where nothing is
    known."""
    from model import catalog
    from model.segmenter import ModelError

    try:
        return catalog.entry(name).limits
    except ModelError:
        return ""


def _told_apart(runs: Sequence[Run]) -> list[Run]:
    """Runs of one title also say their key."""
    often = Counter(run.title for run in runs)
    return [
        replace(run, title=f"{run.title} ({run.key.replace(':', ' ')})")
        if often[run.title] > 1
        else run
        for run in runs
    ]
