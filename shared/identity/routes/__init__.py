"""`/api/v1/me` and `/api/v1/admin/accounts`."""
