"""Training FLIP: from pictures with masks to weights. `flip train` is its command; docs/training.md tells how."""
