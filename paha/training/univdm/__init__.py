"""Training of UniVDM (section 4.1)."""
