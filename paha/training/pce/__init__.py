"""Training of the PCE classifiers: negatives, pairs, the job."""
