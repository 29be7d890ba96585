"""What everything stands on and nothing business lives in: ids, time, errors, paging, telemetry."""
