"""Training: a generic loop, exact checkpoints, and one module per thing that is trained."""
