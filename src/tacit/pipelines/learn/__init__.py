"""From the log to a candidate: labels, dialogues, reward, step. A round is a run folder."""
