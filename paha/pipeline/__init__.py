"""Image and speech in, a video out: the diffusers-style pipeline and what it is made from."""
