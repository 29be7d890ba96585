"""Parts of `replay_access_log`: the log's format, the keys, the events, the client, the run."""
