"""Function apps that only benchmarks serve, on the same local host as the real one."""
