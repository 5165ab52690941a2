"""The whole circle on simulated users: served over HTTP, observed, judged, tried, promoted or rolled back."""
