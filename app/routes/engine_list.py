"""What the page knows of the engines."""

from __future__ import annotations

from typing import Any

from app.settings import Settings


def engines(kind: str, settings: Settings) -> list[dict[str, Any]]:
    """Every segmenter or refiner, and whether it can run here now."""
    from model import catalog

    found = []
    for entry in catalog.entries(settings.checkpoint_names):
        if entry.kind == kind:
            state = catalog.state(entry.name, settings.device, settings.weights_for(entry.name))
            found.append(
                {
                    "name": entry.name,
                    "title": entry.title,
                    "ready": state.ready,
                    "sentence": state.sentence,
                    "is_demo": entry.is_demo,
                    "licence": entry.licence,
                    "note": " ".join(filter(None, (entry.note, entry.limits))),
                }
            )
    return found
