"""Figures on the machine they run on: speed, memory, quality.  Run as modules."""

import os

# As in the model process, before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
