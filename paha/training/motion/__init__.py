"""Training of what the presenter's motion latents need."""
