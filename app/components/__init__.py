"""Our own Gradio components; their JavaScript and CSS lie beside them."""
