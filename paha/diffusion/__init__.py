"""The forward process (schedule) and the solver (ddim)."""
