"""The networks: UniVDM (section 4.1.1) and what it is built from, the PCE classifiers, the presenter codec and pose reader.

Nothing is imported here: `paha.models.plan` and friends load torch and diffusers only when they are asked for.
"""
