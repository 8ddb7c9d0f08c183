"""The harness: models under matched prompts, one row per model and object."""
