"""Parts-Aware Re-weighting (section 4.1.2): the loss weight of Eq. 2-3 and the losses that it weighs (Eq. 1)."""
