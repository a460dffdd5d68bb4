"""From noise to latents: the schedule, DDIM, the sampling loop, long videos (B.4.1)."""
