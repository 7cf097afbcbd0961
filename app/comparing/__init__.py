"""What the web process and the workers both know of a comparison."""
