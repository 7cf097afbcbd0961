"""The demo weights' training, stage by stage."""
