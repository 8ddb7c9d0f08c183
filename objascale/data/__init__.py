"""Tables that the package contains."""
