"""Who may use what: consumers, grants, API keys and projects."""
