"""Rendered clips with exact masks and expressions."""
