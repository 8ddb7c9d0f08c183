"""Exports of a dataset to other formats, with the licences and credits of its assets.

`pictures` reads the dataset, `output` writes files atomically, and each other module is one format.
"""
