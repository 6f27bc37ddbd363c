"""Pictures of the cutouts world share the photographs of their backgrounds. May they count as units of their own?"""

import itertools

import numpy as np

from lib.networks import interface, zoo
from lib.worlds import cutouts

WORLD = cutouts.World()


def wider(values, clusters):
    """Standard error of a mean with whole clusters as units, over that with single pictures."""
    rest = values - values.mean()
    return np.sqrt((np.bincount(clusters, weights=rest) ** 2).sum() / (rest**2).sum())


def test_backgrounds_are_those_that_were_drawn():
    pictures = cutouts.render(WORLD._replace(clutter=0), "test", range(60))
    found, sources = cutouts.backgrounds(WORLD, "test", range(60)), cutouts.panels("test", WORLD.seed)
    assert found.max() < len(sources[0]) + len(sources[1]) and len(set(found.tolist())) > 6
    means = [np.mean(source, (0, 1)) for group in sources for source in group]
    edge = np.ones((64, 64), bool)
    edge[6:58, 6:58] = False  # mostly background
    near = [
        np.abs(picture[edge].mean(0) / 255 - means[k]).sum() for picture, k in zip(pictures.images, found, strict=True)
    ]
    other = [
        np.abs(picture[edge].mean(0) / 255 - means[k]).sum()
        for picture, k in zip(pictures.images, np.roll(found, 7), strict=True)
    ]
    assert np.mean(near) < 0.6 * np.mean(other)


def test_whole_photographs_as_units_give_intervals_no_wider_than_pictures_as_units():
    n = 1500
    pictures, clusters = cutouts.batch(WORLD, "test", n), cutouts.backgrounds(WORLD, "test", range(n))
    nets = [zoo.network(family, seed) for family in ("lenet", "alexnet", "vgg") for seed in (0, 1)]
    images = interface.to_tensor(pictures.images)
    hits = [(interface.scores(net, images).argmax(1).numpy() == pictures.labels).astype(float) for net in nets]
    ratios = [wider(one, clusters) for one in hits]
    ratios += [wider(one - two, clusters) for one, two in itertools.combinations(hits, 2)]
    assert 0.75 < np.mean(ratios) < 1.15, ratios
    depends = clusters % 2 + 0.1 * np.random.default_rng(0).random(n)  # what hung on the photograph would be seen
    assert wider(depends, clusters) > 5
