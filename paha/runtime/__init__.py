"""Devices, tasks on many cores or machines, atomic files, statistics."""
