"""Segmenters to compare with: one file per family."""
