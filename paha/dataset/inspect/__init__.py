"""Overlays and statistics of what the training weighs in a clip or a dataset."""
