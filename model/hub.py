"""Official weights on the Hugging Face hub: what an engine needs, and what of it is here.

Loads no torch.  Only `plan` uses the network, and only what a person asked for calls it;
`model.download` then fetches.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from http.client import responses
from pathlib import Path, PurePosixPath
from typing import cast
from urllib.parse import urlsplit

from model.segmenter import ModelError

REM_REPOSITORY = "anuragba/refereverything"
BASE_REPOSITORY = "ali-vilab/text-to-video-ms-1.7b"
VDIT_REPOSITORY = "buxiangzhiren/VD-IT"
WORDS_REPOSITORY = "roberta-base"
GROUNDING_DINO_REPOSITORY = "IDEA-Research/grounding-dino-tiny"
GROUNDING_DINO_FILES = (
    "config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
)
SAM3_REPOSITORY = "facebook/sam3"
GATED = {SAM3_REPOSITORY: ("Meta", "REFSCRIBE_SAM3")}
"""Repositories that let in whom their owner agreed to, and what names a file got otherwise."""
EDGETAM_REPOSITORY = "yonigozlan/EdgeTAM-hf"


@dataclass(frozen=True)
class Need:
    """Files of one repository: each of `patterns` is wanted, nothing that fits `without`.

    For a checkpoint the patterns are alternatives, and exactly one file must fit them.
    """

    repository: str
    patterns: tuple[str, ...]
    without: tuple[str, ...] = ("*fp16*",)
    is_checkpoint: bool = False


@dataclass(frozen=True)
class Download:
    """One file to fetch, as the hub states it; `sha256` is "" for small files without one."""

    repository: str
    file: str
    size_bytes: int
    revision: str = "main"
    sha256: str = ""


_CHECKPOINTS = ("*.pth", "*.pt", "*.bin", "*.ckpt", "*.safetensors")
_NEEDS = {
    "rem": (
        # The repository holds REM on Wan 2.1 too, ten times as large.
        Need(REM_REPOSITORY, _CHECKPOINTS, without=("*wan*",), is_checkpoint=True),
        Need(
            BASE_REPOSITORY,
            (
                "vae/config.json",
                "vae/diffusion_pytorch_model.*",
                "text_encoder/config.json",
                "text_encoder/*model.*",
            ),
        ),
    ),
    "vdit": (
        Need(VDIT_REPOSITORY, _CHECKPOINTS, is_checkpoint=True),
        Need(WORDS_REPOSITORY, ("config.json", "vocab.json", "merges.txt", "tokenizer*.json")),
    ),
    "grounding-dino": (
        # The same weights stand beside it in a form that can hold code.
        Need(GROUNDING_DINO_REPOSITORY, ("model.safetensors",), is_checkpoint=True),
        Need(GROUNDING_DINO_REPOSITORY, GROUNDING_DINO_FILES),
    ),
    # The same weights stand beside it for Meta's own code.
    **dict.fromkeys(
        ("sam3", "sam3-tracker"),
        (Need(SAM3_REPOSITORY, ("model.safetensors",), is_checkpoint=True),),
    ),
    "edgetam": (Need(EDGETAM_REPOSITORY, ("model.safetensors",), is_checkpoint=True),),
    **{
        f"sam2.1-{size}": (
            Need(
                f"facebook/sam2.1-hiera-{size}",
                (f"sam2.1_hiera_{size.replace('-', '_')}.pt",),
                is_checkpoint=True,
            ),
        )
        for size in ("tiny", "small", "base-plus", "large")
    },
}


def needs(name: str) -> tuple[Need, ...]:
    """What the engine called `name` needs from the hub, its checkpoint first."""
    return _NEEDS.get(name, ())


def chosen(need: Need, names: Sequence[str], file: str | None = None) -> list[str]:
    """Of a repository's files `names`, those that `need` asks for; `file` names the checkpoint.

    Raises:
        ModelError: something is not among them, or the checkpoint is not clear.
    """
    if need.is_checkpoint:
        found = [name for name in names if name == file] if file else _fitting(need, names)
        if len(found) != 1:
            listed = ", ".join(sorted(_fitting(need, names))) or "no checkpoint"
            raise ModelError(
                f"{need.repository} holds {listed}; name the one you want with --file."
            )
        return found
    found = _fitting(need, names)
    for pattern in need.patterns:
        if not any(fnmatch(name, pattern) for name in found):
            raise ModelError(f"{need.repository} holds no {pattern}.")
    return found


def _fitting(need: Need, names: Sequence[str]) -> list[str]:
    found = [
        name
        for name in names
        if any(fnmatch(name, pattern) for pattern in need.patterns)
        and not any(fnmatch(name.lower(), pattern) for pattern in need.without)
    ]
    safe = {PurePosixPath(name).parent for name in found if name.endswith(".safetensors")}
    if need.is_checkpoint:
        return found
    # The same weights, twice: the form that cannot hold code is enough.
    return [
        name for name in found if not (name.endswith(".bin") and PurePosixPath(name).parent in safe)
    ]


def host() -> str:
    """Who is asked for files: huggingface.co, unless HF_ENDPOINT names another."""
    from huggingface_hub import constants

    return urlsplit(constants.ENDPOINT).netloc


def page(name: str) -> str:
    """Where the checkpoint of `name` is described, and asked for where it is gated."""
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{needs(name)[0].repository}"


def cache_folder() -> Path:
    """Where the Hugging Face cache is, or will be."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def repository_folder(repository: str) -> Path:
    """The place of a repository in the cache."""
    return cache_folder() / f"models--{repository.replace('/', '--')}"


def snapshot(repository: str) -> Path | None:
    """The folder of a repository in the Hugging Face cache, whatever of it is there."""
    folder = repository_folder(repository)
    try:
        revision = (folder / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    found = folder / "snapshots" / revision
    return found if found.is_dir() else None


def cached_checkpoint(name: str) -> Path | None:
    """The checkpoint of `name` in the Hugging Face cache, if all that it needs is there."""
    found: list[Path] = []
    for need in needs(name):
        folder = snapshot(need.repository)
        if folder is None:
            return None
        names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.exists()]
        try:
            found += [folder / file for file in chosen(need, names)]
        except ModelError:
            return None  # a download was stopped half way
    return found[0] if found else None


def plan(name: str, file: str | None = None) -> list[Download]:
    """Ask the hub which files `name` needs; `file` names the checkpoint where there are several.

    Raises:
        ModelError: the hub cannot be reached, refuses, or holds something else than expected.
    """
    from huggingface_hub import HfApi

    downloads = []
    for need in needs(name):
        with reaching(need.repository):
            found = HfApi().model_info(need.repository, files_metadata=True, timeout=10)
        there = {one.rfilename: one for one in found.siblings or []}
        for wanted in chosen(need, list(there), file):
            one = there[wanted]
            downloads.append(
                Download(
                    need.repository,
                    wanted,
                    one.size or 0,
                    found.sha or "main",
                    one.lfs.sha256 if one.lfs else "",
                )
            )
    return downloads


@contextmanager
def reaching(repository: str) -> Iterator[None]:
    """Whatever the hub's library raises inside becomes a ModelError, a sentence for the person."""
    from huggingface_hub.errors import HfHubHTTPError

    # Its bases are OSError and the error of whichever HTTP library this version uses.
    unreachable = cast(tuple[type[Exception], ...], HfHubHTTPError.__bases__)
    try:
        yield
    except HfHubHTTPError as error:
        if repository in GATED and error.response.status_code in (401, 403):
            owner, variable = GATED[repository]
            raise ModelError(
                f"{repository} is gated: ask {owner} first, on its page, and log in with `hf auth "
                f"login` once you were let in. A file you have already can be named in {variable}."
            ) from error
        status = error.response.status_code
        reason = responses.get(status, "no answer of use")
        raise ModelError(f"{repository} was refused by the hub ({status} {reason}).") from error
    except unreachable as error:
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise ModelError(f"The disk is too full for {repository}; make room.") from error
        raise ModelError(
            f"{repository} cannot be reached: check the network, then run this again; what is "
            "already here is kept."
        ) from error
    except (ValueError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise ModelError(f"{repository} gave no answer of use: {reason}.") from error
