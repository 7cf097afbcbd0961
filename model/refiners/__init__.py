"""MobileSAM and SAM 2.1: clicks on a frame, and masks carried to other frames."""
