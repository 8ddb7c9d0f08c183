"""The commands of `objascale`, one per module."""
