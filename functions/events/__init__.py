"""Triggers of the usage stream. Batches come at least once; counting once is the work of `metering.counting`."""
