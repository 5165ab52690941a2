#!/usr/bin/env bash
# implicit 0.7.3: in AlternatingLeastSquares a zero that is stored in the sparse matrix is not the same as an absent entry.
# scipy says the two matrices are equal, yet the models differ: an absent entry is "not consumed" with confidence 1 and
# pulls the prediction to 0, a stored zero is left out of the loss. Weights that were set to 0 to switch a kind of event
# off (or a difference of two matrices) therefore raise the predictions of just those entries, unless eliminate_zeros() is
# called first.
#
#     stored entries 120 / 220, entries in which scipy sees a difference: 0
#     mean prediction at the 100 stored zeros: 0.171 absent, 0.338 stored
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check implicit==0.7.3 numpy==2.4.6 scipy==1.17.1
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$folder/venv/bin/python" - <<'PYTHON'
import warnings
from importlib.metadata import version

import numpy as np
import scipy.sparse as sparse

warnings.simplefilter("ignore")
from implicit.als import AlternatingLeastSquares

print("implicit", version("implicit"))
absent = sparse.random(30, 20, 0.2, random_state=1, format="csr")
absent.data[:] = 3.0
rows, columns = np.nonzero(absent.toarray() == 0)
chosen = np.random.default_rng(0).permutation(len(rows))[:100]
rows, columns = rows[chosen], columns[chosen]
old = absent.tocoo()
stored = sparse.csr_matrix(
    (np.r_[old.data, np.zeros(100)], (np.r_[old.row, rows], np.r_[old.col, columns])), shape=absent.shape
)


def predictions(matrix):
    model = AlternatingLeastSquares(factors=4, iterations=10, random_state=0, num_threads=1, use_gpu=False)
    model.fit(matrix.astype(np.float32), show_progress=False)
    return model.user_factors @ model.item_factors.T


print(f"stored entries {absent.nnz} / {stored.nnz}, entries in which scipy sees a difference: {(absent != stored).nnz}")
one, other = predictions(absent)[rows, columns].mean(), predictions(stored)[rows, columns].mean()
print(f"mean prediction at the 100 stored zeros: {one:.3f} absent, {other:.3f} stored")
assert (absent != stored).nnz == 0
assert other > one + 0.05, "a stored zero is now treated like an absent entry"
cleaned = stored.copy()
cleaned.eliminate_zeros()
assert np.abs(predictions(cleaned) - predictions(absent)).max() < 1e-4, "eliminate_zeros() no longer makes them equal"
PYTHON
