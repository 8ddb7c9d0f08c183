"""Who renders: worker processes on this machine."""
