"""Figures on the machine they run on: speed, memory, quality.  Run as modules."""
