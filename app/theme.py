"""Gradio's own controls in the page's colours.

Every colour is a CSS variable of `components/studio/theme.css`, so dark and light are decided in
one place; fonts are the system's, so that no page load asks another host for one.
"""

import gradio as gr

_FONT = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
_MONO = ("ui-monospace", "Menlo", "Consolas", "monospace")

_COLOURS = {
    "body_background_fill": "--rs-bg",
    "body_text_color": "--rs-text",
    "body_text_color_subdued": "--rs-muted",
    "background_fill_primary": "--rs-panel",
    "background_fill_secondary": "--rs-raised",
    "border_color_primary": "--rs-line",
    "border_color_accent": "--rs-accent",
    "color_accent": "--rs-accent",
    "color_accent_soft": "--rs-chosen",
    "link_text_color": "--rs-accent",
    "block_background_fill": "--rs-panel",
    "block_border_color": "--rs-line",
    "block_label_background_fill": "--rs-panel",
    "block_label_text_color": "--rs-muted",
    "block_title_text_color": "--rs-muted",
    "block_info_text_color": "--rs-muted",
    "accordion_text_color": "--rs-muted",
    "panel_background_fill": "--rs-panel",
    "input_background_fill": "--rs-panel",
    "input_background_fill_focus": "--rs-panel",
    "input_border_color": "--rs-field",
    "input_border_color_focus": "--rs-accent",
    "input_placeholder_color": "--rs-muted",
    "checkbox_background_color": "--rs-panel",
    "checkbox_background_color_hover": "--rs-hover",
    "checkbox_background_color_focus": "--rs-panel",
    "checkbox_background_color_selected": "--rs-accent",
    "checkbox_border_color": "--rs-field",
    "checkbox_border_color_hover": "--rs-field",
    "checkbox_border_color_focus": "--rs-accent",
    "checkbox_border_color_selected": "--rs-accent",
    "checkbox_label_background_fill": "--rs-panel",
    "checkbox_label_background_fill_hover": "--rs-hover",
    "checkbox_label_background_fill_selected": "--rs-chosen",
    "checkbox_label_border_color": "--rs-line",
    "checkbox_label_border_color_hover": "--rs-line",
    "checkbox_label_border_color_selected": "--rs-accent",
    "checkbox_label_text_color": "--rs-text",
    "checkbox_label_text_color_selected": "--rs-text",
    "slider_color": "--rs-accent",
    "button_primary_background_fill": "--rs-accent",
    "button_primary_background_fill_hover": "--rs-accent-strong",
    "button_primary_border_color": "--rs-accent",
    "button_primary_border_color_hover": "--rs-accent-strong",
    "button_primary_text_color": "--rs-on-accent",
    "button_primary_text_color_hover": "--rs-on-accent",
    "button_secondary_background_fill": "--rs-panel",
    "button_secondary_background_fill_hover": "--rs-hover",
    "button_secondary_border_color": "--rs-field",
    "button_secondary_border_color_hover": "--rs-field",
    "button_secondary_text_color": "--rs-text",
    "button_secondary_text_color_hover": "--rs-text",
}
_PLAIN = {
    "body_text_size": "13px",
    "block_title_text_size": "12px",
    "block_label_text_size": "12px",
    "block_info_text_size": "12px",
    "checkbox_label_text_size": "13px",
    "input_text_size": "13px",
    "button_large_text_size": "13px",
    "button_medium_text_size": "13px",
    "button_small_text_size": "12px",
    "block_title_text_weight": "400",
    "button_large_text_weight": "400",
    "button_medium_text_weight": "400",
    "button_border_width": "1px",
    "button_medium_padding": "4px 12px",
    "button_transform_hover": "none",
    "button_transform_active": "none",
    "button_transition": "none",
    "input_border_width": "1px",
    "input_padding": "4px 8px",
    "input_shadow": "none",
    "input_shadow_focus": "none",
    "block_border_width": "0px",
    "block_padding": "0px",
    "block_shadow": "none",
    "block_radius": "0px",
    "input_radius": "6px",
    "button_medium_radius": "6px",
    "checkbox_label_padding": "3px 8px",
    "checkbox_label_shadow": "none",
    "checkbox_shadow": "none",
    "layout_gap": "8px",
    "form_gap_width": "8px",
}


def make_theme() -> gr.themes.Base:
    """The theme, the same words for dark and light: the variables differ, not the references."""
    theme = gr.themes.Base(font=[*_FONT], font_mono=[*_MONO])
    every = {name: f"var({variable})" for name, variable in _COLOURS.items()} | _PLAIN
    known = vars(theme)
    return theme.set(
        **every,
        **{f"{name}_dark": value for name, value in every.items() if f"{name}_dark" in known},
    )
