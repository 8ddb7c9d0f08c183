"""FLIP: segmentation of one object from fovea-like patches drawn around it (Traub & Butz, arXiv 2502.02763)."""
