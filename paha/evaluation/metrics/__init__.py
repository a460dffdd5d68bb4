"""Measurements of generated video."""
