"""The page: places components and wires events; what they do lives in `components/studio`.

Pickers and buttons are Gradio's and call the modules in the browser directly (`js=`): no press of a
button passes through Gradio's queue.
"""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from app.components.canvas import Canvas
from app.components.studio_part import studio_part
from app.theme import make_theme
from model import catalog

_STYLES = ("theme", "layout", "panels", "compare_panel", "tools_dialog")

HEAD = "\n".join(
    [
        *(f'<link rel="stylesheet" href="studio/studio/{name}.css">' for name in _STYLES),
        '<link rel="modulepreload" href="studio/studio/page.js">',
    ]
)


def _call(module: str, function: str, parameters: str = "") -> str:
    """JavaScript for `js=`: call `function` of studio/`module`.js with the inputs' values."""
    address = f"new URL('studio/studio/{module}.js', document.baseURI)"
    return (
        f"async ({parameters}) => {{ const module = await import({address}); "
        f"await module.{function}({parameters}); }}"
    )


_SET_ENGINE = """async (name) => {
  const { session } = await import(new URL('studio/shared/session.js', document.baseURI));
  session.set%s(name);
  document.activeElement?.blur(); // a picker that keeps the keyboard would swallow the next key
}"""

_ENGINES = """async () => {
  const { session } = await import(new URL('studio/shared/session.js', document.baseURI));
  await session.start();
  return [session.segmenter || null, session.refiner || null];
}"""


def _choices(kind: str, checkpoints: Sequence[str] = ()) -> list[tuple[str, str]]:
    """(title, name) of every engine of `kind`."""
    offered = catalog.entries(checkpoints)
    return [(entry.title, entry.name) for entry in offered if entry.kind == kind]


class Page(gr.Blocks):  # type: ignore[misc]  # gradio ships no types
    """Gradio's page without its queue, which nothing of ours passes through: idle, it looks for
    events a thousand times a second."""

    def run_startup_events(self) -> None:
        self.is_running = True


def build_page(checkpoints: Sequence[str] = ()) -> gr.Blocks:
    """The whole page.  Mount it with `mount_options()`; `/studio` and `/api` must be there.

    `checkpoints` are names of segmenters beside the catalog's own.
    """
    with Page(title="Refscribe", analytics_enabled=False, fill_width=True) as page:
        with gr.Column(elem_id="rs-studio"):
            studio_part("header", elem_id="rs-header")
            studio_part("clips", elem_id="rs-clips", fill=True)
            Canvas(elem_id="rs-canvas")
            studio_part("welcome", elem_id="rs-welcome", fill=True)
            with gr.Column(elem_id="rs-panel"):
                studio_part("expressions", elem_id="rs-expressions", fill=True)
                studio_part("tabs", elem_id="rs-tabs")
                segmenter = _draft_tab(checkpoints)
                refiner = _propagate_tab()
                with gr.Column(elem_id="rs-tab-compare", elem_classes="rs-tab"):
                    studio_part("compare")
                with gr.Column(elem_id="rs-tab-review", elem_classes="rs-tab"):
                    studio_part("review")
                _export_tab()
            studio_part("jobs", elem_id="rs-jobs")
            studio_part("notices", elem_id="rs-notices")
        page.load(fn=None, js=_ENGINES, outputs=[segmenter, refiner])
    return page


def _draft_tab(checkpoints: Sequence[str]) -> gr.Dropdown:
    with gr.Column(elem_id="rs-tab-draft", elem_classes="rs-tab"):
        with gr.Row(equal_height=False):
            segmenter = gr.Dropdown(
                _choices("segmenter", checkpoints),
                value=None,
                label="Segmenter",
                filterable=False,
                container=False,
                show_label=False,
                elem_id="rs-segmenter",
                min_width=120,
                scale=3,
            )
            run = gr.Button(
                "Run", variant="primary", size="md", elem_id="rs-run", min_width=64, scale=1
            )
        studio_part("segment")
        with gr.Accordion("Details", open=False, elem_id="rs-segment-details"):
            seed = gr.Number(
                value=0,
                label="Seed: the same seed gives the same draft",
                precision=0,
                minimum=0,
                elem_id="rs-seed",
            )
            studio_part("seed")
        studio_part("drafts")
    segmenter.input(fn=None, inputs=[segmenter], js=_SET_ENGINE % "Segmenter")
    run.click(
        fn=None,
        inputs=[seed],
        js=_call("segment_form", "runSegmenter", "seed"),
        trigger_mode="multiple",
    )
    return segmenter


def _propagate_tab() -> gr.Dropdown:
    with gr.Column(elem_id="rs-tab-propagate", elem_classes="rs-tab"):
        direction = gr.Radio(
            [("Both", "both"), ("Forward", "forward"), ("Backward", "backward")],
            value="both",
            label="Direction",
            show_label=False,
            container=False,
            elem_id="rs-direction",
        )
        studio_part("propagate")
        refiner = gr.Dropdown(
            _choices("refiner"),
            value=None,
            label="Refiner, for clicks too",
            filterable=False,
            elem_id="rs-refiner",
        )
        also = gr.CheckboxGroup(
            [
                ("all targets", "all"),
                ("over frames done by hand", "overwrite"),
                ("what is up to date too", "anew"),
            ],
            value=[],
            label="Also",
            elem_id="rs-propagate-also",
        )
        go = gr.Button("Propagate", variant="primary", size="md", elem_id="rs-propagate")
    refiner.input(fn=None, inputs=[refiner], js=_SET_ENGINE % "Refiner")
    go.click(
        fn=None,
        inputs=[direction, also],
        js=_call("propagate_form", "propagate", "direction, also"),
        trigger_mode="multiple",
    )
    return refiner


def _export_tab() -> None:
    with gr.Column(elem_id="rs-tab-export", elem_classes="rs-tab"):
        clips = gr.Radio(
            [("This clip", "this"), ("All clips", "all")],
            value="this",
            label="Clips",
            show_label=False,
            container=False,
        )
        step = gr.Radio(
            [("Every frame", 1), ("Every 4th", 4)], value=1, label="Masks on", elem_id="rs-step"
        )
        formats = gr.CheckboxGroup(
            [("Dataset", "ref-vps"), ("Mask images", "masks"), ("Overlay video", "overlay")],
            value=["ref-vps"],
            label="Formats",
            elem_id="rs-formats",
        )
        write = gr.Button("Export", variant="primary", size="md", elem_id="rs-export")
        studio_part("export")
    write.click(
        fn=None,
        inputs=[clips, step, formats],
        js=_call("export_panel", "startExport", "which, step, formats"),
        trigger_mode="multiple",
    )


def mount_options() -> dict[str, Any]:
    """What `gr.mount_gradio_app` needs besides the page itself."""
    return {"theme": make_theme(), "head": HEAD, "footer_links": []}
