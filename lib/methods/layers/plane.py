"""Codes drawn in the plane (CS231n 2016, lecture 9, list 4): t-SNE (van der Maaten & Hinton 2008) and its baseline PCA,
both scikit-learn's, and how far an embedding can be trusted (Venna & Kaski 2001)."""

import warnings

import numpy as np
from scipy import stats
from scipy.spatial import distance
from sklearn import decomposition, manifold

from lib.methods.layers import codes


def tsne(rows: np.ndarray, perplexity: float, seed: int = 0) -> np.ndarray:
    """t-SNE (Barnes-Hut) of codes (N, features): points (N, 2) float32, without units.

    It starts from PCA, so that the seed hardly matters; on one thread the same codes give the same points to the bit.
    perplexity: roughly the number of neighbours that each point cares for. ValueError unless N >= 8 and the perplexity
    is from 2 to below N / 3; a warning of scikit-learn's is an error.
    """
    if len(rows) < 8 or not 2 <= perplexity < len(rows) / 3:
        raise ValueError(
            f"perplexity is {perplexity} for {len(rows)} images, expected at least 8 images and a perplexity from 2 to "
            f"below a third of their number"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an embedding that did not come out well must not pass in silence
        method = manifold.TSNE(2, perplexity=perplexity, init="pca", random_state=seed, n_jobs=1, method="barnes_hut")
        return method.fit_transform(np.asarray(rows, dtype=np.float32))


def pca(rows: np.ndarray) -> np.ndarray:
    """Codes (N, features) along their two directions of largest variance: points (N, 2), in the codes' units."""
    return decomposition.PCA(2, svd_solver="full").fit_transform(np.asarray(rows, dtype=np.float64))


# ---------------------------------------------------------------------------------- how far to trust it


def ranks(rows: np.ndarray) -> np.ndarray:
    """Of codes (N, features): [i, j] says which neighbour of i is j, (N, N) int (1: the nearest; the image itself: 0;
    of neighbours equally far the lower number first)."""
    distances = distance.squareform(distance.pdist(np.asarray(rows, dtype=np.float64)))
    np.fill_diagonal(distances, -1)
    return (stats.rankdata(distances, method="ordinal", axis=1) - 1).astype(np.int32)


def trusted(ranks: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """Trustworthiness (N,) of each image from the true `ranks` (N, N) of the k neighbours (N, k) that the plane gives
    it: 1 minus the sum of rank - k over false neighbours, scaled so that the mean lies in [0, 1]."""
    n, k = neighbours.shape
    excess = np.maximum(np.take_along_axis(ranks, neighbours, 1) - k, 0).sum(1)
    return 1 - excess * 2 / (k * (2 * n - 3 * k - 1))


def trust(rows: np.ndarray, points: np.ndarray, k: int = codes.NEIGHBOURS) -> np.ndarray:
    """Trustworthiness (N,) of each image's place among points (N, 2) of codes (N, features); its mean is
    sklearn.manifold.trustworthiness, which does not give one value an image.

    1 where the k nearest points are the k nearest codes; a false neighbour costs by how far down it really ranks.
    ValueError unless 1 <= k < N / 2.
    """
    if not 1 <= k < len(rows) / 2:
        raise ValueError(f"k is {k} for {len(rows)} images, expected 1 to less than half their number")
    return trusted(ranks(rows), codes.nearest(points, k))
