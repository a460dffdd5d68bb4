"""Section 4.2: guidance of sampling by the classifiers (Eq. 8-12, Algorithm 1)."""
