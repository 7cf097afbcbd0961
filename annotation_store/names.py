"""Texts a person types, checked where they enter."""

from __future__ import annotations

import unicodedata

from annotation_store.errors import StoreError


class BadTextError(StoreError):
    """A name or an expression that cannot be kept."""


def clean_text(text: str, what: str, *, longest: int, empty: bool = False) -> str:
    """`text` without spaces around it, if it can be `what`.

    Raises:
        BadTextError: it is empty (unless `empty`), longer than `longest`, or holds control
            characters.

    >>> clean_text("  a red kite ", "an expression", longest=20)
    'a red kite'
    """
    if not isinstance(text, str):
        raise BadTextError(f"Expected {what} as text, got {type(text).__name__}.")
    text = text.strip()
    if not text and not empty:
        raise BadTextError(f"Expected {what}, but nothing was typed.")
    if len(text) > longest:
        raise BadTextError(
            f"Expected {what} of at most {longest} characters, got {len(text)}. Shorten it."
        )
    # Cc: control characters, Cs: halves of surrogate pairs, which no database takes.
    bad = next((sign for sign in text if unicodedata.category(sign) in {"Cc", "Cs"}), None)
    if bad is not None:
        raise BadTextError(
            f"Expected {what} on one line, but it holds the control character "
            f"U+{ord(bad):04X}. Remove it."
        )
    return text
