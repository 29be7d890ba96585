"""Reports: usage of any range as a document, made in the background."""
