"""Trains the demo weights from nothing: `python -m model.train demo --hours 2 --out runs/demo`."""

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
_STAGES = {"vae": 0.2, "single": 0.4, "video": 0.34, "decoder": 0.06}  # shares of the time


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m model.train", description=__doc__)
    parser.add_argument("what", choices=["demo"])
    parser.add_argument("--hours", type=float, default=0.87, help="for all stages together")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="checkpoints")
    parser.add_argument("--stage", choices=list(_STAGES), help="this stage alone")
    parser.add_argument("--to", type=Path, help="write the weights here, config.json beside them")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    options.out.mkdir(parents=True, exist_ok=True)
    device = torch.device(options.device)
    if options.stage in (None, "vae"):
        seconds = options.hours * 3600 * _STAGES["vae"]
        train_vae(options.out, size=_SIZE, seconds=seconds, device=device)
    for stage in (SINGLE, VIDEO):
        if options.stage in (None, stage.name):
            train_unet(
                options.out, stage, size=_SIZE,
                seconds=options.hours * 3600 * _STAGES[stage.name], device=device,
            )  # fmt: skip
    if options.stage in (None, "decoder"):
        seconds = options.hours * 3600 * _STAGES["decoder"]
        train_decoder(options.out, size=_SIZE, seconds=seconds, device=device)
    if options.to is not None:
        vae = frozen_vae(options.out, _SIZE, torch.device("cpu"))
        export(options.out, options.to, vae=vae, size=_SIZE)


if __name__ == "__main__":
    main()
