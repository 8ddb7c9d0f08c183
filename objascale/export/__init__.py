"""Datasets in other people's formats. Licences and credits come from the assets, never from here."""
