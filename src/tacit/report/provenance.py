"""How a run was made: the report's last section, the same for every kind of run."""

from __future__ import annotations

from html import escape

from tacit.report import page
from tacit.report.run_files import RunFiles


def provenance(run: RunFiles) -> str:
    versions = run.run.get("versions", {})
    known = {"commit": run.run.get("commit", "unknown"), "python": run.run.get("python", "unknown"), **versions}
    later = [entry.get("commit", "") for entry in run.run.get("later", [])]
    parts = [page.pairs(known, ("", "version"))]
    if later:
        parts.append(f"<p>Later stages ran at: {escape(', '.join(later))}.</p>")
    if run.config_text:
        parts.append(page.details("config.yaml, resolved", f"<pre>{escape(run.config_text)}</pre>"))
    else:
        parts.append(page.missing("config.yaml is missing.", "The run folder is incomplete."))
    return "".join(parts)
