"""Learning from what people did with what was named: ``tacit outcomes``."""
