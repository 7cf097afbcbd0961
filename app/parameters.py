"""What may come from outside, as types: the routes' parameters and bodies are made of these.

A value that is none of them is answered with 422 and a sentence that names its field, before any
route runs.  What a number refers to, and what a text may be, is for the store to say.
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Interval
from pydantic import AfterValidator, FiniteFloat, StringConstraints

MOST_ID = 2**63 - 1
"""The largest number a database's integer holds."""
MOST_FRAME = 2**31 - 1
MOST_FRAMES = 20_000
"""Of a clip, and so of a list of frames."""
LONGEST_WORD, LONGEST_TEXT = 200, 65_536
MOST_FORMATS = 10
"""Of one export: more than there are."""


def plain_text(text: str) -> str:
    """`text`, if it can be kept: without NUL and halves of surrogate pairs.

    Raises:
        ValueError: it holds one of them.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"expected text, got half of a surrogate pair at place {error.start + 1}"
        ) from error
    if "\0" in text:
        raise ValueError(f"expected text, got the character NUL at place {text.index(chr(0)) + 1}")
    return text


Id = Annotated[int, Interval(ge=1, le=MOST_ID)]
"""The number of a clip, a target, an expression, a draft or a job."""
FrameIndex = Annotated[int, Interval(ge=0, le=MOST_FRAME)]
Version = Annotated[int, Interval(ge=0, le=MOST_FRAME)]
"""Of a mask; 0 where there is none."""
Seed = Annotated[int, Interval(ge=0, lt=2**31)]
Share = Annotated[FiniteFloat, Interval(ge=0, le=1)]
"""A threshold."""
Seconds = Annotated[FiniteFloat, Interval(ge=0, le=1e6)]
Pixels = Annotated[FiniteFloat, Interval(ge=-1e6, le=1e6)]
"""A place in a frame, or beside it: a box may be drawn over the border."""
Word = Annotated[str, StringConstraints(max_length=LONGEST_WORD), AfterValidator(plain_text)]
"""A name out of a list of ours: an engine, a state, a run."""
Text = Annotated[str, StringConstraints(max_length=LONGEST_TEXT), AfterValidator(plain_text)]
"""What a person typed; how long a name or an expression may be is for the store to say."""
