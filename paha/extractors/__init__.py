"""Frozen models that turn media into features, one thin class each. Heavy libraries are imported on first use."""
