"""How a limb or a lid goes from one place to another."""

from __future__ import annotations

import numpy as np


def minimum_jerk(u: np.ndarray) -> np.ndarray:
    """0 to 1 for u from 0 to 1 with zero velocity and acceleration at both ends: 10 u^3 - 15 u^4 + 6 u^5."""
    u = np.clip(u, 0, 1)
    return u * u * u * (10 + u * (6 * u - 15))
