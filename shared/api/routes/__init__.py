"""Routes that belong to no single noun: the audit log, platform settings, the API's own description."""
