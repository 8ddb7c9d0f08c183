"""Masks for pictures without annotation, by a trained model: `flip pseudo-label`."""
