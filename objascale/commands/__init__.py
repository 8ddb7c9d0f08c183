"""The commands of `objascale`, one a file; objascale.cli gathers them."""
