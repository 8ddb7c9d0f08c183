"""The models that the authors released: FLIP-Tiny to FLIP-Large."""
