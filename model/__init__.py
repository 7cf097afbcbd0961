"""Arrays and text in, masks out.  Importing the package does not load torch."""
