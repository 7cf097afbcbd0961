"""REM and VD-IT: text and frames in, soft maps out."""
