"""The networks: UniVDM (section 4.1.1) and what it is built from, the presenter codec and the pose reader.

Nothing is imported here: `paha.models.plan` and friends load torch and diffusers only when they are asked for.
"""
