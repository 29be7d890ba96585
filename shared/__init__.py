"""AMS: business nouns, ports and their adapters. See docs/architecture.md."""
