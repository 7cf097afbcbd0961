"""Real browsers on a real server while processes die: what was called saved is there."""
