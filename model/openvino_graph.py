"""A network's graph on OpenVINO, which runs twice as fast as torch on an Intel processor.

The graph is made from the loaded network on this machine, checked against it, and kept ready to
run in the person's cache folder: a later start takes it from there.  Nothing is fetched, and
nothing is sent (`quiet_openvino`).  Without the package, or where anything of this fails, the
network runs on torch as before.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

log = logging.getLogger(__name__)

FORM = 1
"""Grows when the code that makes a graph changes."""
ALIKE = 0.99
"""Cosine that what a new graph gives must have with what torch gives."""
DIGEST_BYTES = 32


class RuntimeUnavailableError(Exception):
    """OpenVINO cannot run this network here; the text says why."""


@dataclass(frozen=True)
class Plan:
    """What a graph is made of.

    `weights` names the weights (a sha256), `examples` are arguments of `forward`, and `sizes` says
    for each of them how long its sides are, -1 where any length will do.
    """

    name: str
    weights: str
    examples: tuple[Tensor, ...]
    sizes: tuple[tuple[int, ...], ...]
    bfloat16: bool


class Graph:
    """A network ready to run.  Threads may share it: one runs at a time, on all cores."""

    def __init__(self, compiled: Any, runtime: str) -> None:
        self.runtime = runtime
        """What runs it, for people: "OpenVINO 2026.4.1, bfloat16"."""
        self._request = compiled.create_infer_request()
        self._running = threading.Lock()

    def __call__(self, *arguments: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float32], ...]:
        """What `forward` gives for these arrays."""
        with self._running:
            found = self._request.infer(list(arguments), share_inputs=True)
            return tuple(np.array(found[place]) for place in range(len(found)))


@cache
def multiplies_bfloat16() -> bool:
    """Whether this processor has bfloat16 products; emulated ones are slower than float32."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def quiet_openvino() -> Any:
    """The package, which otherwise tells its maker over the network whenever it is imported.

    Without the module that does so it works as well: it takes one that does nothing.  Its
    conversion tool would tell too, and is not called.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # importing it fails
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own deprecations
        import openvino

    return openvino


def cache_folder() -> Path:
    """Where graphs are kept between starts."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("refscribe", appauthor=False)) / "graphs"


def load(plan: Plan, network: Callable[[], nn.Module], folder: Path) -> Graph:
    """The graph of a plan, kept in `folder` or made of `network()` now.

    Raises:
        RuntimeUnavailableError: the package is missing or does not work on this processor.
    """
    if find_spec("openvino") is None:
        raise RuntimeUnavailableError(
            "OpenVINO is not installed; `pip install -r requirements-cpu.txt` adds it"
        )
    try:
        return _loaded(plan, network, folder)
    except RuntimeUnavailableError:
        raise
    except Exception as error:  # whatever it is, torch does the same
        raise RuntimeUnavailableError(f"OpenVINO cannot run it here ({error})") from error


def _loaded(plan: Plan, network: Callable[[], nn.Module], folder: Path) -> Graph:
    openvino = quiet_openvino()
    core = openvino.Core()
    version = openvino.get_version()
    precision = "bfloat16" if plan.bfloat16 else "float32"
    runtime = f"OpenVINO {version.split('-')[0]}, {precision}"
    options = {
        "INFERENCE_PRECISION_HINT": "bf16" if plan.bfloat16 else "f32",
        "NUM_STREAMS": "1",
        "ENABLE_CPU_PINNING": False,  # the browser and the web process want the cores too
    }
    processor = core.get_property("CPU", "FULL_DEVICE_NAME")
    name = [str(FORM), plan.weights, version, processor, precision, repr(plan.sizes)]
    digest = hashlib.sha256("/".join(name).encode()).hexdigest()[:16]
    path = folder / f"{plan.name}-{digest}.graph"
    kept = _kept(path)
    if kept is not None:
        try:
            return Graph(core.import_model(io.BytesIO(kept), "CPU", options), runtime)
        except RuntimeError as error:
            log.warning("the graph kept in %s cannot be used and is made again: %s", path, error)
    module = network()
    compiled = core.compile_model(_converted(module, plan), "CPU", options)
    graph = Graph(compiled, runtime)
    _require_alike(graph, module, plan)
    exported = compiled.export_model()
    _keep(path, exported.getvalue() if isinstance(exported, io.BytesIO) else bytes(exported))
    return graph


def _converted(module: nn.Module, plan: Plan) -> Any:
    """The network as OpenVINO's model, traced at the sizes of the examples."""
    openvino = quiet_openvino()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of every number that is a constant
        traced = torch.jit.trace(module, plan.examples, check_trace=False)
        frontend = FrontEndManager().load_by_framework("pytorch")
        decoder = TorchScriptPythonDecoder(traced)  # must live until all is converted
        loaded = frontend.load(decoder)
        model = frontend.convert(loaded)
    for place, example, size in zip(model.inputs, plan.examples, plan.sizes, strict=True):
        node = place.get_node()
        kind = openvino.Type.u8 if example.dtype == torch.uint8 else openvino.Type.f32
        node.set_element_type(kind)
        node.set_partial_shape(openvino.PartialShape(list(size)))
    model.validate_nodes_and_infer_types()
    return model


def _require_alike(graph: Graph, module: nn.Module, plan: Plan) -> None:
    """Raise unless the graph gives what the network gives."""
    with torch.inference_mode():
        answer = module(*plan.examples)
    expected = [answer] if isinstance(answer, Tensor) else list(answer)
    found = graph(*(example.numpy() for example in plan.examples))
    for ours, theirs in zip(found, expected, strict=True):
        one, other = ours.ravel().astype(np.float64), theirs.double().numpy().ravel()
        lengths = np.linalg.norm(one) * np.linalg.norm(other)
        if ours.shape != tuple(theirs.shape) or not one @ other > ALIKE * lengths:
            raise RuntimeUnavailableError(f"OpenVINO gives other numbers for {plan.name} here")


def _kept(path: Path) -> bytes | None:
    """What `_keep` wrote; None where there is none, or not all of it."""
    try:
        whole = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        log.warning("%s cannot be read: %s", path, error)
        return None
    digest, data = whole[:DIGEST_BYTES], whole[DIGEST_BYTES:]
    if hashlib.sha256(data).digest() != digest:
        log.warning("%s is damaged and is made again", path)
        return None
    return data


def _keep(path: Path, data: bytes) -> None:
    """Write a graph whole or not at all, in the place of those of other versions."""
    aside = path.with_name(f".{path.name}-{os.getpid()}-{uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(hashlib.sha256(data).digest() + data)
        aside.replace(path)
        name = path.name.rpartition("-")[0]
        for other in path.parent.glob(f"{name}-*.graph"):
            if other != path:
                other.unlink(missing_ok=True)
    except OSError as error:  # it is made again at the next start
        log.warning("the graph of a network could not be kept in %s: %s", path.parent, error)
        try:
            aside.unlink(missing_ok=True)
        except OSError:
            log.warning("%s is left behind", aside)
