"""Raw footage to a dataset: scan, filter, cut, write, report (`paha prepare`)."""
