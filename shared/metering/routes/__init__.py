"""Routes of metering."""
