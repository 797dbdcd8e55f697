"""The textbook: small exact things, usable alone."""
