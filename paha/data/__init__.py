"""Media and the dataset on disk: sound, video, pictures, the manifest and its annotations (docs/data_format.md)."""
