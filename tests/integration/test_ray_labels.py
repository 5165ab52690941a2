"""The label job on a local Ray cluster of two workers: the same bytes as one process makes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from logged_days import START_MS, logged_days, write_export

from tacit.events.schema import DAY_MS
from tacit.labels import parts
from tacit.labels.build import build
from tacit.labels.settings import LabelSettings

pytestmark = pytest.mark.integration
pytest.importorskip("ray", reason="ray is not installed: pip install 'tacit-rec[ray]'")

AS_OF = START_MS + 5 * DAY_MS
BYTES = 60_000  # of a part: several parts, more than the workers take at once
BY_RAY = """
import sys
from pathlib import Path
import ray
from tacit.labels import parts
from tacit.labels.build import build
from tacit.labels.engines import workers
from tacit.labels.settings import LabelSettings

parts.LARGEST = int(sys.argv[4])
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
with workers("ray") as hired:
    build(Path(sys.argv[1]), Path(sys.argv[2]), LabelSettings(), int(sys.argv[3]), workers=hired)
ray.shutdown()
"""


def test_two_workers_make_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "LARGEST", BYTES)
    export = write_export(logged_days(30, seed=5), tmp_path / "export")
    build(export, tmp_path / "one", LabelSettings(), AS_OF)
    assert len(list((tmp_path / "one" / "items").rglob("*.parquet"))) > 3
    given = [str(export), str(tmp_path / "two"), str(AS_OF), str(BYTES)]
    subprocess.run([sys.executable, "-c", BY_RAY, *given], check=True, timeout=900)
    one, two = ({path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
                for folder in (tmp_path / "one", tmp_path / "two"))  # fmt: skip
    assert one == two
