"""Evaluation of videos: metrics, the paper's tables, the user study."""
