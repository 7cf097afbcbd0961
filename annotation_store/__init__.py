"""Clips, expressions, masks and drafts on disk.  No torch, no user interface."""
