"""The presenter's latent space: motion of a person, and a photograph that it moves."""
