"""The processes beside the web process, and what runs in them."""
