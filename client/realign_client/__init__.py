"""realignctl: the thin client. Runs with the base install, imports neither MLX nor the daemon."""
