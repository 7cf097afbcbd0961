"""The canvas as a Gradio component: an empty place where the browser module builds itself."""

from typing import Any

import gradio as gr

# The page may be served under a path, so the module is found relative to the document.
MOUNT_CANVAS = """
import(new URL('studio/canvas/index.js', document.baseURI).href)
  .then(({ mountCanvas }) => mountCanvas(element.querySelector('[data-refscribe-canvas]')))
  .catch((error) => {
    const sentence = document.createElement('p');
    sentence.setAttribute('role', 'alert');
    sentence.textContent = 'The canvas could not be loaded. Reload the page. (' + error + ')';
    element.append(sentence);
  });
"""


class Canvas(gr.HTML):  # type: ignore[misc]  # gradio ships no types
    """Frame, masks, tools and timeline of the clip that the page's session has open.

    The template is static: whatever a person typed reaches the page as text, through the browser
    modules, and never as markup.
    """

    def __init__(self, *, elem_id: str = "refscribe-canvas", **options: Any) -> None:
        super().__init__(
            html_template='<div data-refscribe-canvas style="height: 100%"></div>',
            js_on_load=MOUNT_CANVAS,
            apply_default_css=False,
            elem_id=elem_id,
            **options,
        )
