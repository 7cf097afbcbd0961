"""REM's and VD-IT's weights, official or the demo's, from where they lie to segmenters.

`python -m model.weights fetch NAME` gets official weights when a person asks for them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from model import hub
from model.catalog import DEMO, entries, entry, state, weights_path
from model.checkpoint import listed, load_strictly, read_tensors, under
from model.download import fetch
from model.hub import BASE_REPOSITORY, WORDS_REPOSITORY
from model.segmenter import ModelError
from model.segmenters import vdit_demo
from model.segmenters.rem import RemNetworks, RemSegmenter
from model.segmenters.tokenizer import ClipTokenizer, CompactTokenizer
from model.segmenters.vdit import VdIt, from_official
from model.segmenters.vdit_segmenter import VdItSegmenter, WordTokenizer
from model.weight_files import checkpoint_in, file_hash

Network = TypeVar("Network")
# Older files of the public VAE name its attention otherwise.
LEGACY_VAE = {
    ".query.": ".to_q.",
    ".key.": ".to_k.",
    ".value.": ".to_v.",
    ".proj_attn.": ".to_out.0.",
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


def _empty(build: Callable[[], Network]) -> Network:
    with torch.device("meta"):  # no memory, no random numbers
        return build()


def load_official_rem(device: str, weights: Path | None = None) -> RemSegmenter:
    """REM on ModelScope text-to-video.

    `weights` is the official checkpoint, whose `unet` entry is the network, or a folder that holds
    one; the VAE and the text encoder are those of ModelScope's repository, beside it in `base/` or
    in the Hugging Face cache.
    """
    file = checkpoint_in(weights or _usual_place("rem"))
    networks = _empty(RemNetworks.build)
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
    file = checkpoint_in(weights or _usual_place("vdit"))
    network = _empty(VdIt)
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
        # The public folders hold half-precision twins as well.
        found = sorted(path for path in folder.glob(f"*{ending}") if ".fp16." not in path.name)
        if found:
            return found[0]
    raise ModelError(f"There are no weights in {folder}.")


def _usual_place(name: str) -> Path:
    found = weights_path(name)
    if found is None:
        raise ModelError(
            f"The weights of {name} are not here. Fetch them with `python -m model.weights fetch "
            f"{name}`, or name the file with --weights."
        )
    return found


def _base_folder(checkpoint: Path) -> Path:
    beside = checkpoint.parent / "base"
    if (beside / "vae").is_dir():
        return beside
    cached = hub.snapshot(BASE_REPOSITORY)
    if cached is not None:
        return cached
    raise ModelError(
        f"The VAE and text encoder of {BASE_REPOSITORY} are not here. Fetch them with `python -m "
        f"model.weights fetch rem`, or put its folders vae and text_encoder into {beside}."
    )


def check(path: Path) -> str:
    """What the weights at `path` are, if they fit; nothing is run with them.

    Raises:
        ModelError: they fit no network here, or not exactly.
    """
    if (path / "config.json").is_file():
        return _check_demo(path)
    file = checkpoint_in(path)
    content = read_tensors(file)
    if "model" in content:
        title, network = "VD-IT", _empty(VdIt)
        fill_official_vdit(network, file)
    elif "unet" in content or "conv_in.weight" in content:
        title, network = "REM's UNet", _empty(RemNetworks.build).unet
        load_strictly(network, under("", content.get("unet", content)), title)
    else:
        raise ModelError(f"{file} holds neither REM nor VD-IT: {listed('entries', [*content])}.")
    count = sum(parameter.numel() for parameter in network.parameters())
    return f"{title}, {count / 1e9:.2f} billion parameters, SHA-256 {file_hash(file)}"


def _check_demo(folder: Path) -> str:
    description = (folder / "config.json").read_text(encoding="utf-8")
    if '"network"' in description:
        return f"VD-IT demo, SHA-256 {vdit_demo.load('cpu', folder).weights_hash}"
    return f"REM demo, SHA-256 {load_demo_rem('cpu', folder).weights_hash}"


def _fetch(name: str, file: str | None, agreed: bool) -> str:
    wanted = entry(name)
    print(f"{wanted.title}. Licence: {wanted.licence}.")
    downloads = hub.plan(name, file)
    for one in downloads:
        print(f"{one.size_bytes / 1e9:6.2f} GB  {one.repository}  {one.file}")
    if not agreed and input("Fetch this? [y/N] ").strip().lower() not in ("y", "yes"):
        return "Nothing was fetched."
    fetch(downloads)
    return "Done."


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m model.weights", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    fetching = commands.add_parser(
        "fetch", help="download official weights; licence and size are shown first"
    )
    fetching.add_argument("name", choices=[one.name for one in entries() if one.download_bytes])
    fetching.add_argument("--yes", action="store_true", help="agree without being asked")
    fetching.add_argument("--file", help="the checkpoint, where a repository holds several")
    commands.add_parser("list", help="every engine and whether it can run here")
    checking = commands.add_parser("check", help="whether a file or folder of weights fits")
    checking.add_argument("path", type=Path)
    options = parser.parse_args(arguments)
    try:
        if options.command == "list":
            for one in entries():
                print(f"{one.name:18} {one.title:16} {state(one.name).sentence}")
        elif options.command == "check":
            print(check(options.path))
        else:
            print(_fetch(options.name, options.file, options.yes))
    except ModelError as error:
        print(f"model.weights: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
