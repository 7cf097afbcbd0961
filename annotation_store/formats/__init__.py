"""File formats: one module each, writing and reading."""
