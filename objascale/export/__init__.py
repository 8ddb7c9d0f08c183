"""Datasets in other people's formats. Licences and credits come from the assets, never from here.

`pictures` reads, `output` writes; each other file is one format.
"""
