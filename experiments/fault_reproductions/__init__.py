"""Every fault that a hard day of use found, as a person met it: `python -m experiments.fault_reproductions`."""
