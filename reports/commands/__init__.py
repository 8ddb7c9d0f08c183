"""The subcommands of `reports`, one file each."""
