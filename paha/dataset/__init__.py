"""From raw or drawn footage to batches: manifest, features, clips (docs/data_format.md)."""
