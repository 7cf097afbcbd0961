"""Panels of the page whose content is built in the browser by the modules in `studio/`."""

from typing import Any

import gradio as gr


def studio_part(part: str, *, fill: bool = False, **options: Any) -> gr.HTML:
    """An empty element that `studio/page.js` fills with the part called `part`.

    The template is static: nothing a person typed ever passes through it.  With `fill` the part
    takes all the height it is given.
    """
    return gr.HTML(
        value=None,
        html_template='<div class="rs-mount"></div>',
        apply_default_css=False,
        js_on_load=(
            "import(new URL('studio/studio/page.js', document.baseURI)).then((page) => "
            f"page.mountPart({part!r}, element.querySelector('.rs-mount')));"
        ),
        elem_classes=["rs-part", "rs-fill"] if fill else ["rs-part"],
        **options,
    )
