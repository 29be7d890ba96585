"""Endpoints of access: consumers, grants, subscribers, projects and their people, keys."""
