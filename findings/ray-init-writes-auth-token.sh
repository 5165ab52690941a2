#!/usr/bin/env bash
# ray 2.60.0: a plain local ray.init() writes a token into the user's home folder, ~/.ray/auth_token, and leaves it there
# after ray.shutdown() and after the process has ended. Nothing was asked for: no cluster, no address, no authentication
# setting. A home folder that may not be written to, or is shared by machines, is therefore part of what a "local" run needs.
#
#     before ray.init()        : home folder holds []
#     after the process's end  : home folder holds ['.ray/auth_token']
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ray==2.60.0
mkdir "$folder/home"
held() { (cd "$folder/home" && find . -type f | sed "s|^\./|'|; s|$|'|" | paste -sd, -); }
echo "before ray.init()        : home folder holds [$(held)]"
HOME="$folder/home" RAY_worker_niceness=0 "$folder/venv/bin/python" - <<'PYTHON'
import ray

ray.init(num_cpus=1, include_dashboard=False, logging_level="error")
print("ray", ray.__version__)
ray.shutdown()
PYTHON
echo "after the process's end  : home folder holds [$(held)]"
test -s "$folder/home/.ray/auth_token" || { echo "no token is left in the home folder any more"; exit 1; }
