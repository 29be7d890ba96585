"""Timers. Each may run twice at once, or be killed and run again, without doing anything twice.

Not here: what a run does (the noun that the file names in `shared/`).
"""
