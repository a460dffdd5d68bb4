"""Parts Consistency Enhancement (section 4.1.3): the regional audio-visual classifiers (Eq. 4-7)."""
