"""Weights from where they lie to networks that fit them exactly, or a sentence that says why not.

`python -m model.weights fetch NAME` gets official weights when a person asks for them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from model.catalog import (
    BASE_REPOSITORY,
    DEMO,
    REM_REPOSITORY,
    VDIT_REPOSITORY,
    WORDS_REPOSITORY,
    entries,
    entry,
    state,
)
from model.rem import RemNetworks, RemSegmenter
from model.segmenter import ModelError
from model.tokenizer import ClipTokenizer, CompactTokenizer
from model.vdit import VdIt, from_official
from model.vdit_segmenter import VdItSegmenter, WordTokenizer

NAMED = 3  # keys a report spells out
# Older files of the public VAE name its attention otherwise.
LEGACY_VAE = {
    ".query.": ".to_q.",
    ".key.": ".to_k.",
    ".value.": ".to_v.",
    ".proj_attn.": ".to_out.0.",
}


def load_strictly(module: nn.Module, weights: Mapping[str, Tensor], what: str) -> None:
    """Put `weights` into `module`; every key and shape must fit.

    Raises:
        ModelError: they do not, with the first few that are missing, left over or of another shape.
    """
    wanted = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    given = {name: tuple(value.shape) for name, value in weights.items()}
    missing = sorted(wanted.keys() - given.keys())
    unexpected = sorted(given.keys() - wanted.keys())
    other = sorted(name for name in wanted.keys() & given.keys() if wanted[name] != given[name])
    if missing or unexpected or other:
        shapes = [f"{name} {given[name]} instead of {wanted[name]}" for name in other]
        parts = [
            _listed("missing", missing),
            _listed("not known", unexpected),
            _listed("of another shape", shapes),
        ]
        raise ModelError(
            f"The weights do not fit {what}: {'; '.join(filter(None, parts))}. Choose the file "
            "made for this network."
        )
    module.load_state_dict(dict(weights), assign=_is_meta(module))


def _listed(word: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{len(names)} {word} ({', '.join(names[:NAMED])}{more})"


def _is_meta(module: nn.Module) -> bool:
    return next(module.parameters()).is_meta


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
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
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


def file_hash(path: Path) -> str:
    """SHA-256 of a file, remembered while its size and time stay the same."""
    facts = path.stat()
    return _hash(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=16)
def _hash(path: Path, _size: int, _time: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def under(prefix: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors whose name begins with `prefix`, without it, as 32-bit floats."""
    return {
        name.removeprefix(prefix): value.float() if value.is_floating_point() else value
        for name, value in weights.items()
        if name.startswith(prefix)
    }


def load_demo_rem(device: str, weights: Path | None = None) -> RemSegmenter:
    """REM at toy size from the folder that ships with the project, or another of its kind."""
    folder = weights or DEMO / "rem"
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"Expected a folder with config.json and weights.safetensors at {folder}."
        ) from error
    file = folder / "weights.safetensors"
    tensors = read_tensors(file)
    networks = RemNetworks.build(
        config["unet"],
        config["vae"],
        config["text_encoder"],
        latent_scale=config["latent_scale"],
    )
    for name in ("unet", "vae", "text_encoder"):
        load_strictly(getattr(networks, name), under(f"{name}.", tensors), f"the demo's {name}")
    height, width = config["frame_size"]
    return RemSegmenter(
        "rem-demo",
        networks.to(device),
        CompactTokenizer(tuple(config["vocabulary"]), config["context"]),
        weights_hash=file_hash(file),
        frame_size=(height, width),
        chunk_frames=config["chunk_frames"],
        spread=config["chunk_spread"],
    )


def load_official_rem(device: str, weights: Path | None = None) -> RemSegmenter:
    """REM on ModelScope text-to-video.

    `weights` is the official checkpoint, whose `unet` entry is the network, or a folder that holds
    one; the VAE and the text encoder are those of ModelScope's repository, beside it in `base/` or
    in the Hugging Face cache.
    """
    file = checkpoint_in(weights or _cached_checkpoint(REM_REPOSITORY, "rem"))
    with torch.device("meta"):
        networks = RemNetworks.build()
    fill_official_rem(networks, file, _base_folder(file))
    autocast = torch.bfloat16 if device.startswith("cuda") else None
    return RemSegmenter(
        "rem",
        networks.to(device),
        ClipTokenizer(),
        weights_hash=file_hash(file),
        autocast=autocast,
    )


def fill_official_rem(networks: RemNetworks, checkpoint: Path, base: Path) -> None:
    """Put the official checkpoint and ModelScope's folders in `base` into networks of their size.

    Raises:
        ModelError: something is missing, left over, of another shape, or cannot be read.
    """
    content = read_tensors(checkpoint)
    load_strictly(networks.unet, under("", content.get("unet", content)), "REM's UNet")
    load_strictly(networks.vae, vae_weights(base / "vae"), "ModelScope's VAE")
    load_strictly(networks.text_encoder, text_weights(base / "text_encoder"), "its text encoder")


def load_official_vdit(device: str, weights: Path | None = None) -> VdItSegmenter:
    """VD-IT from its official checkpoint, whose `model` entry holds every part of it.

    Only the words' tokenizer (RoBERTa's) comes from elsewhere: a folder `roberta-base` beside the
    checkpoint, or the Hugging Face cache.
    """
    file = checkpoint_in(weights or _cached_checkpoint(VDIT_REPOSITORY, "vdit"))
    with torch.device("meta"):
        network = VdIt()
    fill_official_vdit(network, file)
    return VdItSegmenter(
        "vdit",
        network.to(device),
        ClipTokenizer(),
        _word_tokenizer(file.parent / WORDS_REPOSITORY),
        weights_hash=file_hash(file),
    )


def fill_official_vdit(network: VdIt, checkpoint: Path) -> None:
    """Put the official checkpoint into a network of its size; raises as for REM."""
    content = read_tensors(checkpoint)
    load_strictly(network, under("", from_official(content.get("model", content))), "VD-IT")


def _word_tokenizer(folder: Path) -> WordTokenizer:
    from transformers import RobertaTokenizer

    source = str(folder) if folder.is_dir() else WORDS_REPOSITORY
    try:
        tokenizer: WordTokenizer = RobertaTokenizer.from_pretrained(source, local_files_only=True)
    except OSError as error:
        raise ModelError(
            f"The tokenizer of {WORDS_REPOSITORY} is not here. Fetch it with `python -m "
            f"model.weights fetch vdit`, or put its files into {folder}."
        ) from error
    return tokenizer


def vae_weights(folder: Path) -> dict[str, Tensor]:
    """The VAE's tensors by the names diffusers has now."""
    tensors = under("", read_tensors(_only_file(folder)))
    return {_renamed(name): _squeezed(name, value) for name, value in tensors.items()}


def _renamed(name: str) -> str:
    for old, new in LEGACY_VAE.items():
        if old in name:
            return name.replace(old, new)
    return name


def _squeezed(name: str, value: Tensor) -> Tensor:
    # The attention's projections were 1x1 convolutions once.
    if ".attentions." in name and value.dim() == 4:
        return value[:, :, 0, 0]
    return value


def text_weights(folder: Path) -> dict[str, Tensor]:
    """The text encoder's tensors by the names transformers has now, without old buffers."""
    tensors = under("", read_tensors(_only_file(folder)))
    return {
        name.removeprefix("text_model."): value
        for name, value in tensors.items()
        if not name.endswith("position_ids")
    }


def _only_file(folder: Path) -> Path:
    for ending in (".safetensors", ".bin"):
        found = sorted(folder.glob(f"*{ending}"))
        if found:
            return found[0]
    raise ModelError(f"There are no weights in {folder}.")


def checkpoint_in(path: Path) -> Path:
    """The checkpoint `path` is, or the only one in the folder it is."""
    if not path.exists():
        raise ModelError(f"There are no weights at {path}.")
    if path.is_file():
        return path
    found = [
        file
        for ending in ("safetensors", "pth", "pt", "bin")
        for file in sorted(path.glob(f"*.{ending}"))
    ]
    if len(found) != 1:
        raise ModelError(f"Expected one checkpoint in {path}, found {len(found)}. Name the file.")
    return found[0]


def _cached_checkpoint(repository_id: str, name: str) -> Path:
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repositories = scan_cache_dir().repos
    except CacheNotFound:
        repositories = frozenset()
    for repository in repositories:
        if repository.repo_id == repository_id:
            return max(repository.revisions, key=lambda one: one.last_modified).snapshot_path
    raise ModelError(
        f"The weights of {name} are not here. Fetch them with `python -m model.weights fetch "
        f"{name}`, or name the file with --weights."
    )


def _base_folder(checkpoint: Path) -> Path:
    beside = checkpoint.parent / "base"
    if (beside / "vae").is_dir():
        return beside
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(BASE_REPOSITORY, "vae/config.json")
    if isinstance(found, str):
        return Path(found).parent.parent
    raise ModelError(
        f"The VAE and text encoder of {BASE_REPOSITORY} are not here. Fetch them with `python -m "
        f"model.weights fetch rem`, or put its folders vae and text_encoder into {beside}."
    )


# -- fetching --------------------------------------------------------------------------------------


def repositories(name: str) -> Mapping[str, Sequence[str]]:
    """What an engine needs from the hub: file patterns by repository."""
    if name == "rem":
        return {
            REM_REPOSITORY: ("*.pth", "*.pt", "*.safetensors", "*.json"),
            BASE_REPOSITORY: ("vae/*", "text_encoder/*"),
        }
    if name == "vdit":
        return {
            VDIT_REPOSITORY: ("*.pth", "*.pt"),
            WORDS_REPOSITORY: ("*.json", "*.txt"),
        }
    if name.startswith("sam2.1-"):
        size = name.removeprefix("sam2.1-")
        return {f"facebook/sam2.1-hiera-{size}": (f"sam2.1_hiera_{size.replace('-', '_')}.pt",)}
    raise ModelError(f"{name} needs nothing from the hub.")


def fetch(name: str) -> None:
    """Download what `name` needs into the Hugging Face cache, resuming what was begun.

    Raises:
        ModelError: the hub cannot be reached, or refuses.
    """
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    for repository, patterns in repositories(name).items():
        try:
            snapshot_download(repository, allow_patterns=list(patterns))
        except (OfflineModeIsEnabled, LocalEntryNotFoundError, httpx.HTTPError, OSError) as error:
            if isinstance(error, HfHubHTTPError):
                raise ModelError(f"{repository} was refused: {_first_line(error)}.") from error
            raise ModelError(
                f"{repository} cannot be reached: check the network, then run this again; what is "
                "already here is kept."
            ) from error


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m model.weights", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    fetching = commands.add_parser(
        "fetch", help="download official weights; the licence is shown first"
    )
    fetching.add_argument("name", choices=[one.name for one in entries() if one.download_bytes])
    fetching.add_argument("--yes", action="store_true", help="agree to the licence without asking")
    listing = commands.add_parser("list", help="every engine and whether it can run here")
    del listing
    options = parser.parse_args(arguments)
    try:
        if options.command == "list":
            for one in entries():
                print(f"{one.name:18} {one.title:16} {state(one.name).sentence}")
            return 0
        wanted = entry(options.name)
        print(f"{wanted.title}: {wanted.download_bytes / 1e9:.1f} GB. Licence: {wanted.licence}.")
        if not options.yes and input("Fetch it? [y/N] ").strip().lower() not in ("y", "yes"):
            return 1
        fetch(options.name)
    except ModelError as error:
        print(f"model.weights: {error}", file=sys.stderr)
        return 2
    print("Done.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
