"""Trains demo weights from nothing: `python -m model.train demo --to model/demo/rem`.

`demo` is REM's, `vdit-demo` VD-IT's.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch

from model.training.decoder import train_decoder
from model.training.export import export
from model.training.unet import SINGLE, VIDEO, frozen_vae, train_unet
from model.training.vae import train_vae
from model.training.vdit import SINGLE as VDIT_SINGLE
from model.training.vdit import VIDEO as VDIT_VIDEO
from model.training.vdit import export_vdit, train_vdit
from model.training.vdit_encoder import train_encoder

_SIZE = (64, 64)
_STAGES = {"vae": 0.25, "single": 0.69, "decoder": 0.06, "video": 0.45}
"""Shares of the time; the video stage comes on top where it is asked for."""
_VDIT_STAGES = {"encoder": 0.25, "single": 0.5, "video": 0.25}


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; what was interrupted goes on where it was saved."""
    parser = argparse.ArgumentParser(prog="python -m model.train", description=__doc__)
    parser.add_argument("what", choices=["demo", "vdit-demo"])
    parser.add_argument(
        "--hours", type=float, default=0.68, help="for all stages, but REM's video stage"
    )
    parser.add_argument("--device", default="cpu", help="for `demo`; `vdit-demo` takes the CPU")
    parser.add_argument("--out", type=Path, help="checkpoints; runs/demo or runs/vdit-demo")
    stages = dict.fromkeys([*_STAGES, *_VDIT_STAGES])
    parser.add_argument("--stage", choices=list(stages), help="this stage alone")
    parser.add_argument("--video", action="store_true", help="`demo`: train on short clips as well")
    parser.add_argument("--to", type=Path, help="write the weights here, config.json beside them")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    shares = _VDIT_STAGES if options.what == "vdit-demo" else _STAGES
    if options.stage is not None and options.stage not in shares:
        parser.error(f"{options.what} has the stages {', '.join(shares)}")
    options.out = options.out or Path("runs") / options.what
    options.out.mkdir(parents=True, exist_ok=True)
    if options.what == "vdit-demo":
        _train_vdit_demo(options)
    else:
        _train_demo(options)


def _train_demo(options: argparse.Namespace) -> None:
    device = torch.device(options.device)
    usual = ["vae", "single", *(["video"] if options.video else []), "decoder"]
    for name in usual if options.stage is None else [options.stage]:
        seconds = options.hours * 3600 * _STAGES[name]
        if name == "vae":
            train_vae(options.out, size=_SIZE, seconds=seconds, device=device)
        elif name == "decoder":
            train_decoder(options.out, size=_SIZE, seconds=seconds, device=device)
        else:
            stage = VIDEO if name == "video" else SINGLE
            train_unet(options.out, stage, size=_SIZE, seconds=seconds, device=device)
    if options.to is not None:
        vae = frozen_vae(options.out, _SIZE, torch.device("cpu"))
        export(options.out, options.to, vae=vae, size=_SIZE, video=options.video)


def _train_vdit_demo(options: argparse.Namespace) -> None:
    for name in _VDIT_STAGES if options.stage is None else [options.stage]:
        seconds = options.hours * 3600 * _VDIT_STAGES[name]
        if name == "encoder":
            train_encoder(options.out, seconds=seconds)
        else:
            stage = VDIT_VIDEO if name == "video" else VDIT_SINGLE
            train_vdit(options.out, stage, seconds=seconds)
    if options.to is not None:
        export_vdit(options.out, options.to)


if __name__ == "__main__":
    main()
