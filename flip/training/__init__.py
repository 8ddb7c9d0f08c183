"""Training FLIP on scenes with masks. `flip train` is the command; docs/training.md is the guide."""
