"""The presenter corpus: illustrated people whose lips, face and hands follow speech."""
