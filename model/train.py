"""Trains the demo weights from nothing: `python -m model.train demo --to model/demo/rem`."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch

from model.train_decoder import train_decoder
from model.train_export import export
from model.train_unet import SINGLE, VIDEO, frozen_vae, train_unet
from model.train_vae import train_vae

_SIZE = (64, 64)
_STAGES = {"vae": 0.25, "single": 0.69, "decoder": 0.06, "video": 0.45}
"""Shares of the time; the video stage comes on top where it is asked for."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; what was interrupted goes on where it was saved."""
    parser = argparse.ArgumentParser(prog="python -m model.train", description=__doc__)
    parser.add_argument("what", choices=["demo"])
    parser.add_argument("--hours", type=float, default=0.68, help="for all stages but video")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="checkpoints")
    parser.add_argument("--stage", choices=list(_STAGES), help="this stage alone")
    parser.add_argument("--video", action="store_true", help="train on short clips as well")
    parser.add_argument("--to", type=Path, help="write the weights here, config.json beside them")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    options.out.mkdir(parents=True, exist_ok=True)
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


if __name__ == "__main__":
    main()
