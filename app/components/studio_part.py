"""A panel of the page whose content is built in the browser by the modules in `studio/`."""

from typing import Any

import gradio as gr


class StudioPart(gr.HTML):  # type: ignore[misc]  # gradio ships no types
    """An empty element that `studio/page.js` fills with the part called `part`.

    The template is static: nothing a person typed ever passes through it.
    """

    def __init__(self, part: str, *, fill: bool = False, **options: Any) -> None:
        super().__init__(
            value=None,
            html_template='<div class="rs-mount"></div>',
            css_template="",
            apply_default_css=False,
            js_on_load=(
                "import(new URL('studio/studio/page.js', document.baseURI)).then((page) => "
                f"page.mountPart({part!r}, element.querySelector('.rs-mount') ?? element));"
            ),
            elem_classes=["rs-part", "rs-fill"] if fill else ["rs-part"],
            **options,
        )

    def get_block_name(self) -> str:
        """Gradio's browser side knows it as plain HTML."""
        return "html"
