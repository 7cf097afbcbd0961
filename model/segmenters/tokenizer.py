"""Expressions to token ids: CLIP's byte pairs, whole or cut down to a small vocabulary."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from model.segmenter import ExpressionReport

CONTEXT = 77
PAD, BEGIN, END = 0, 49406, 49407
SPECIAL = ("<pad>", "<begin>", "<end>", "<unknown>")


class Tokenizer(Protocol):
    """Text to the ids a text encoder reads, and what of the text they hold."""

    def encode(self, text: str) -> list[int]:
        """As many ids as the text encoder reads, 77 for CLIP's: begin, tokens, end, padding.

        The end stays when the text is cut.
        """
        ...

    def describe(self, text: str) -> ExpressionReport: ...


@cache
def byte_pairs() -> Any:
    """CLIP's byte-pair encoder, whose vocabulary travels inside open_clip."""
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer()


def framed(
    tokens: Sequence[int], *, begin: int, end: int, pad: int, context: int = CONTEXT
) -> list[int]:
    """Put `tokens` between begin and end, cut or padded to `context`.

    >>> framed([5, 6], begin=1, end=2, pad=0)[:6]
    [1, 5, 6, 2, 0, 0]
    """
    ids = [begin, *tokens[: context - 2], end]
    return ids + [pad] * (context - len(ids))


def kept_text(tokens: Sequence[int], context: int = CONTEXT) -> str:
    """The part of a text its first `context` - 2 tokens spell."""
    return str(byte_pairs().decode(list(tokens[: context - 2]))).strip()


class ClipTokenizer:
    """The tokenizer of ali-vilab/text-to-video-ms-1.7b.

    Padding is id 0, "!", not the end token: the special tokens map there overrides the
    tokenizer's own configuration.
    """

    def encode(self, text: str) -> list[int]:
        return framed(self._tokens(text), begin=BEGIN, end=END, pad=PAD)

    @staticmethod
    def _tokens(text: str) -> list[int]:
        # Being the padding token, every "!" of a text is read as padding too.
        parts = [byte_pairs().encode(part) for part in text.split("!")]
        return [token for part in parts for token in (PAD, *part)][1:]

    def describe(self, text: str) -> ExpressionReport:
        tokens = self._tokens(text)
        if len(tokens) <= CONTEXT - 2:
            return ExpressionReport(text)
        return ExpressionReport(kept_text(tokens), cut=True)


@dataclass(frozen=True)
class CompactTokenizer:
    """CLIP's byte pairs of a small vocabulary; everything else is one unknown token.

    `vocabulary` begins with the four special tokens; an id is a place in it.  `context` is how
    many ids the text encoder reads.
    """

    vocabulary: tuple[str, ...]
    context: int = CONTEXT

    def __post_init__(self) -> None:
        if self.vocabulary[: len(SPECIAL)] != SPECIAL:
            raise ValueError(f"a vocabulary begins with {', '.join(SPECIAL)}")

    @property
    def ids(self) -> dict[str, int]:
        return {token: place for place, token in enumerate(self.vocabulary)}

    def encode(self, text: str) -> list[int]:
        ids = self.ids
        unknown = SPECIAL.index("<unknown>")
        tokens = [ids.get(token, unknown) for token in _spelled(text)]
        begin, end = SPECIAL.index("<begin>"), SPECIAL.index("<end>")
        return framed(tokens, begin=begin, end=end, pad=0, context=self.context)

    def describe(self, text: str) -> ExpressionReport:
        known = set(self.vocabulary)
        words = re.findall(r"[^\W_]+", text.lower())
        unknown = [word for word in words if any(part not in known for part in _spelled(word))]
        tokens = byte_pairs().encode(text)
        cut = len(tokens) > self.context - 2
        return ExpressionReport(
            kept_text(tokens, self.context) if cut else text, cut, tuple(dict.fromkeys(unknown))
        )


def _spelled(text: str) -> list[str]:
    pairs = byte_pairs()
    return [pairs.decoder[token] for token in pairs.encode(text)]


def compact_vocabulary(texts: Sequence[str]) -> tuple[str, ...]:
    """The smallest vocabulary that spells all of `texts`."""
    return (*SPECIAL, *sorted({token for text in texts for token in _spelled(text)}))
