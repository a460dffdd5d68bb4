"""Media and the on-disk dataset: sound, video, pictures, and manifest.jsonl with its annotations (docs/data_format.md)."""
