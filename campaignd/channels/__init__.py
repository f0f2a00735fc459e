"""Ways to reach a recipient. The pipeline knows channels by `base` alone."""
