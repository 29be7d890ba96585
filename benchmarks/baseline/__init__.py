"""What a team would write instead of AMS: FastAPI, asyncpg, PostgreSQL. One row per event, one upserted counter."""
