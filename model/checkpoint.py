"""Files of tensors into networks that fit them exactly, or a sentence that says why not."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from model.segmenter import ModelError

NAMED = 3  # keys a report spells out


def load_strictly(module: nn.Module, weights: Mapping[str, Tensor], what: str) -> None:
    """Put `weights` into `module`; every key and shape must fit.

    Raises:
        ModelError: they do not, with the first few that are missing, left over or of another shape.
    """
    strange = [name for name, value in weights.items() if not isinstance(value, Tensor)]
    if strange:
        raise ModelError(
            f"The file does not hold {what}: {listed('entries that are no tensors', strange)}. "
            "Choose the file made for this network."
        )
    wanted = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    given = {name: tuple(value.shape) for name, value in weights.items()}
    missing = sorted(wanted.keys() - given.keys())
    unexpected = sorted(given.keys() - wanted.keys())
    other = sorted(name for name in wanted.keys() & given.keys() if wanted[name] != given[name])
    if missing or unexpected or other:
        shapes = [f"{name} {given[name]} instead of {wanted[name]}" for name in other]
        parts = [
            listed("missing", missing),
            listed("not known", unexpected),
            listed("of another shape", shapes),
        ]
        raise ModelError(
            f"The weights do not fit {what}: {'; '.join(filter(None, parts))}. Choose the file "
            "made for this network."
        )
    empty = next(module.parameters()).is_meta
    module.load_state_dict(dict(weights), assign=empty)
    if empty:
        _restore_buffers(module)


def _restore_buffers(module: nn.Module) -> None:
    """Make the buffers no checkpoint holds: transformers' places and token types of a text."""
    for part in module.modules():
        for name, buffer in list(part.named_buffers(recurse=False)):
            if buffer.is_meta:
                assert name in ("position_ids", "token_type_ids"), name
                step = 1 if name == "position_ids" else 0
                values = torch.arange(buffer.shape[-1], dtype=buffer.dtype) * step
                part.register_buffer(name, values.expand(buffer.shape).clone(), persistent=False)


def listed(word: str, names: Sequence[str]) -> str:
    """
    >>> listed("missing", ["a", "b", "c", "d"]), listed("missing", [])
    ('4 missing (a, b, c and 1 more)', '')
    """
    if not names:
        return ""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{len(names)} {word} ({', '.join(names[:NAMED])}{more})"


def read_tensors(path: Path) -> Mapping[str, Any]:
    """A checkpoint's content: tensors of a safetensors file, or a torch file without code in it.

    Raises:
        ModelError: it is not there, is damaged, or would run code.
    """
    if not path.is_file():
        raise ModelError(f"There are no weights at {path}.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # The official file keeps its training arguments beside the weights.
        with torch.serialization.safe_globals([argparse.Namespace]):
            mmap = is_zipfile(path)  # files of torch before 1.6 are not
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError) as error:
        raise ModelError(f"The weights {path} cannot be read: {_first_line(error)}.") from error
    except Exception as error:
        raise ModelError(
            f"The weights {path} hold more than tensors, which could run code, so they were not "
            "loaded. Take them from the official place."
        ) from error
    if not isinstance(content, Mapping):
        raise ModelError(f"The weights {path} hold no dictionary of tensors.")
    return content


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0].rstrip(".")


def under(prefix: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors whose name begins with `prefix`, without it, as 32-bit floats."""
    return {
        name.removeprefix(prefix): (
            value.float() if isinstance(value, Tensor) and value.is_floating_point() else value
        )
        for name, value in weights.items()
        if name.startswith(prefix)
    }
