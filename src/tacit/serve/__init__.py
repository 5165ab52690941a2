"""The policy of a run, served: a chat that OpenAI's clients speak, a page, and the log of what was shown."""
