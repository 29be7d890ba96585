"""Rules of this code base that no linter off the shelf knows; `scripts/test` runs each as a module."""
