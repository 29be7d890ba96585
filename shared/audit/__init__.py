"""What was changed, by whom and why: the journal through which every change goes, and the log that it leaves."""
