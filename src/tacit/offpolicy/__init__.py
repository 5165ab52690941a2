"""What another policy would have earned, told from the log of the one that was served. docs/ope.md says when to
believe it.

    from tacit.offpolicy import Log, evaluate      # or read_table("log.parquet", {"logged": "pscore"})
    found = evaluate(Log(logged, target, rewards, sessions=sessions))
    print(found.verdict, found.because)
"""

from tacit.offpolicy.evaluate import Evaluation, Settings, evaluate
from tacit.offpolicy.log import Log
from tacit.offpolicy.targets import read_table

__all__ = ["Evaluation", "Log", "Settings", "evaluate", "read_table"]
