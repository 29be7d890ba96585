"""The portal's API: a FastAPI application made of the nouns' routes."""
