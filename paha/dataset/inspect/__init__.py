"""Looking at a dataset or a clip with the eyes of the training: overlays and statistics."""
