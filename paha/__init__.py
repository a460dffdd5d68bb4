"""PAHA: one reference image and one speech recording become a video of that person speaking."""

__version__ = "0.1.0"
