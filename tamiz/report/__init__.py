"""One page and plots of a run."""
