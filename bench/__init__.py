"""Benchmark of promptable segmenters with matched prompts: one result row per model and object."""
