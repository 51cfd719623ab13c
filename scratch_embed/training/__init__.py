"""Training sessions: batches, progress bar, checkpoints, Ctrl-C, worker threads."""
