"""What the API offers of billing."""
