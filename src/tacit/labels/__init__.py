"""From the log to labels: what each shown item, and each turn, was worth to the one who saw it."""
