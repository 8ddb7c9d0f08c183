"""ObjaScale: Objaverse objects before HDRI backgrounds, 512 to 8192 px, with exact masks.

Importing this package imports neither Blender nor PyTorch.
"""
