"""Presenters that the rig can move: people whose lips, face and hands follow speech."""
