"""What can be said about each thing of a scene so that it means this thing and no other.

A statement names attributes; it is used for a thing only where no other thing of the scene could
be meant by it, at any moment of the clip.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

import numpy as np

from model.synthetic.scene import COLOURS, Scene, Thing, area, pose

ExpressionType: TypeAlias = Literal["colour", "kind", "colour+kind", "size", "place", "motion"]

TYPES: tuple[ExpressionType, ...] = ("colour", "kind", "colour+kind", "size", "place", "motion")

_MOMENTS = (0.0, 0.25, 0.5, 0.75, 1.0)
_NOUNS = ("thing", "object", "shape", "one")

_KIND_WORDS: dict[str, tuple[str, ...]] = {
    "circle": ("circle", "disc", "circle"),
    "square": ("square", "box"),
    "triangle": ("triangle",),
    "star": ("star",),
    "ring": ("ring",),
    "cross": ("cross",),
    "heart": ("heart",),
    "moon": ("moon", "crescent"),
    "drop": ("drop",),
    "candle": ("candle", "bar"),
    "cloud": ("cloud",),
    "arrow": ("arrow",),
}

_COLOUR_WORDS: dict[str, tuple[str, ...]] = {"cyan": ("cyan", "turquoise")}

_MOTION_WORDS: dict[str, tuple[str, ...]] = {
    # Each completes "the {noun} ..."
    "still": ("that stays still", "that does not move", "standing still"),
    "left": ("moving left", "moving to the left", "that moves left"),
    "right": ("moving right", "moving to the right", "that moves right"),
    "up": ("moving up", "going up", "that moves up"),
    "down": ("moving down", "going down", "that moves down"),
    "spin": ("spinning", "that spins", "turning around"),
    "bounce": ("bouncing", "that bounces", "bouncing up and down"),
    "grow": ("growing", "that grows", "getting bigger"),
    "shrink": ("shrinking", "that shrinks", "getting smaller"),
    "melt": ("melting", "that melts"),
    "burn": ("burning", "that burns", "on fire"),
    "ripple": ("rippling", "that ripples", "that wobbles"),
    "fade": ("fading", "that fades away", "disappearing"),
    "drip": ("dripping", "that drips"),
    "drift": ("drifting like smoke", "that drifts like smoke", "drifting away"),
}

# A statement about the first is not made where one of the others could be taken for it.
_LOOKS_LIKE: dict[str, tuple[str, ...]] = {
    "still": (),
    "up": ("drift", "bounce"),
    "down": ("melt", "bounce"),
    "bounce": ("up", "down"),
    "grow": ("drift",),
    "shrink": ("melt", "burn", "fade"),
    "melt": ("drip",),
    "fade": ("drift", "burn"),
    "drift": ("up", "fade"),
}


def expressions(scene: Scene, index: int, rng: np.random.Generator) -> list[tuple[str, str]]:
    """What singles out thing `index`: (type, text), each text in one phrasing drawn from `rng`.

    The list is empty where nothing does.
    """
    thing, others = scene.things[index], _others(scene, index)
    kind_word, noun = _pick(rng, _KIND_WORDS[thing.kind]), _pick(rng, _NOUNS)
    colour = _pick(rng, _COLOUR_WORDS.get(thing.colour, (thing.colour,)))
    same_kind = [other for other in others if other.kind == thing.kind]
    same_colour = [other for other in others if other.colour == thing.colour]
    twins = [other for other in same_kind if other.colour == thing.colour]
    said: list[tuple[str, str]] = []
    if not same_colour:
        said.append(("colour", f"the {colour} {noun}"))
    if not same_kind:
        said.append(("kind", f"the {kind_word}"))
    if not twins:
        said.append(
            ("colour+kind", _one_of(rng, f"the {colour} {kind_word}", f"{colour} {kind_word}"))
        )
    # Among all things, or among those of its kind where there are several.
    for rivals, name in ((others, noun), (same_kind, kind_word)):
        if not rivals:
            continue
        said += [("size", text.format(name)) for text in _sizes(thing, rivals, rng)]
        said += [("place", text.format(name)) for text in _places(scene, thing, rivals, rng)]
        if _moves_alone(thing, rivals):
            said.append(("motion", f"the {name} {_pick(rng, _MOTION_WORDS[thing.motion])}"))
    if same_colour and not twins and _moves_alone(thing, same_colour):
        words = _pick(rng, _MOTION_WORDS[thing.motion])
        said.append(("motion", f"the {colour} {noun} {words}"))
    return said


def every_text() -> list[str]:
    """Texts that between them hold every word the expressions use."""
    nouns = [*_NOUNS, *(word for words in _KIND_WORDS.values() for word in words)]
    colours = ["red", "orange", "yellow", "green", "blue", "purple", "pink", "white", "black"]
    colours += ["brown", *_COLOUR_WORDS["cyan"]]
    texts = [f"the {colour} {noun}" for colour in colours for noun in nouns]
    texts += [
        f"the {noun} {words}" for noun in _NOUNS for m in _MOTION_WORDS.values() for words in m
    ]
    texts += [pattern.format(noun) for noun in nouns for pattern in _SIZE_WORDS]
    texts += [p.format(noun) for noun in nouns for words in _PLACE_WORDS.values() for p in words]
    return texts


_SIZE_WORDS = ("the biggest {}", "the largest {}", "the smallest {}", "the big {}", "the small {}")
_PLACE_WORDS: dict[str, tuple[str, ...]] = {
    "left": ("the {} on the left", "the left {}", "the leftmost {}"),
    "right": ("the {} on the right", "the right {}", "the rightmost {}"),
    "top": ("the {} at the top", "the top {}", "the upper {}"),
    "bottom": ("the {} at the bottom", "the bottom {}", "the lower {}"),
    "middle": ("the {} in the middle", "the {} in the centre", "the middle {}"),
}


def _sizes(thing: Thing, rivals: list[Thing], rng: np.random.Generator) -> list[str]:
    ratios = [
        [area(thing, moment) / area(rival, moment) for moment in _MOMENTS] for rival in rivals
    ]
    if all(min(ratio) > 1.5 for ratio in ratios):
        return [_one_of(rng, "the biggest {}", "the largest {}", "the big {}")]
    if all(max(ratio) < 1 / 1.5 for ratio in ratios):
        return [_one_of(rng, "the smallest {}", "the small {}")]
    return []


def _places(scene: Scene, thing: Thing, rivals: list[Thing], rng: np.random.Generator) -> list[str]:
    """Sides the thing keeps, with a clear gap to every rival, at every moment."""
    own = np.array([_middle(thing, moment) for moment in _MOMENTS])
    rest = np.array([[_middle(rival, moment) for moment in _MOMENTS] for rival in rivals])
    gap = np.array([0.18 * scene.aspect, 0.18])
    before = np.all(own + gap < rest, axis=(0, 1))  # left of, above
    after = np.all(own - gap > rest, axis=(0, 1))
    own_share = own / (scene.aspect, 1.0)
    sides = []
    if before[0] and own_share[:, 0].max() < 0.5:
        sides.append("left")
    if after[0] and own_share[:, 0].min() > 0.5:
        sides.append("right")
    if before[1] and own_share[:, 1].max() < 0.5:
        sides.append("top")
    if after[1] and own_share[:, 1].min() > 0.5:
        sides.append("bottom")
    off = np.abs(own_share - 0.5).max()
    rest_off = np.abs(rest / (scene.aspect, 1.0) - 0.5).max(axis=2)
    if off < 0.15 and rest_off.min() > 0.25:
        sides.append("middle")
    return [_pick(rng, _PLACE_WORDS[side]) for side in sides]


def _moves_alone(thing: Thing, rivals: list[Thing]) -> bool:
    alike = (thing.motion, *_LOOKS_LIKE.get(thing.motion, ()))
    return all(rival.motion not in alike for rival in rivals)


def _middle(thing: Thing, moment: float) -> tuple[float, float]:
    state = pose(thing, moment)
    return state.x, state.y


def _others(scene: Scene, index: int) -> list[Thing]:
    return [other for at, other in enumerate(scene.things) if at != index]


def _pick(rng: np.random.Generator, words: tuple[str, ...]) -> str:
    return words[int(rng.integers(len(words)))]


def _one_of(rng: np.random.Generator, *words: str) -> str:
    return _pick(rng, words)


def look_of(texts: Iterable[str]) -> tuple[str | None, str | None]:
    """The colour and the kind that `texts` about one thing name, by their names in a scene.

    >>> look_of(["the turquoise box"]), look_of(["the shape on the left"])
    (('cyan', 'square'), (None, None))
    """
    words = {word for text in texts for word in text.split()}
    colours = [c for c in COLOURS if words & {*_COLOUR_WORDS.get(c, (c,))}]
    kinds = [kind for kind, names in _KIND_WORDS.items() if words & {*names}]
    return colours[0] if colours else None, kinds[0] if kinds else None
