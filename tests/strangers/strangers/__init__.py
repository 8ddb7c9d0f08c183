"""A package of a stranger with plug-ins, of which tests/test_plugins.py installs a copy."""
