"""Promptable segmenters of `transformers`: hf:OWNER/NAME, hf:OWNER/NAME@REVISION and hf:FOLDER."""
