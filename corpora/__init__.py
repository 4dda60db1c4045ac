"""Bottom layer: data at rest and pure functions on it. No Beam, no torch."""
