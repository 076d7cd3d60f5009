# %% [markdown]
# # Images from nothing, by evolution
#
# So far each attack began with a digit and followed a slope. Here there is neither. You breed images, and the network
# chooses who may have children: it is asked for its answers, and nothing else (Nguyen, Yosinski and Clune 2015).

# %%
import numpy as np

from attacks import fool_cppn, fool_direct
from attacks.evolution import Elitism, Genome, MapElites, evolve
from attacks.report.fooling_plots import cppn_graph, gallery, median_confidence
from minidl import models
from minidl.data import load_digits
from minidl.optim import RMSProp
from minidl.train import evaluate, fit

train, test = load_digits()
net = models.lenet()
fit(net, train, epochs=2, optimizer=RMSProp(lr=0.003))
evaluate(net, test)

# %% [markdown]
# ## Pixels
#
# A *genome* is all that an image is made of: here its 784 pixels. There is a niche for each digit, where the image
# lives that the network is surest of. In each generation 100 children are made: copies of the ten, with some pixels
# changed at random. Whoever makes the network surer takes the niche.

# %%
noise = fool_direct(net, generations=60, population=100, progress=True)
print(noise.summary())

# %% [markdown]
# ## Patterns
#
# The second encoding does not hold pixels, but a small network that computes each pixel from its place: a *CPPN*. Its
# structure evolves as well. One gene now moves many pixels together, and so come lines, waves and symmetry.

# %%
patterns = fool_cppn(net, generations=60, population=100, progress=True)
gallery({"pixels": noise, "CPPN": patterns}, title="What LeNet takes for a digit, and how sure it is")

# %% [markdown]
# Nobody would take these for digits. The network was never asked to know what is *not* a digit: it divides all images
# among ten classes, and far from all that it has seen, it is as sure as ever.

# %%
median_confidence({"pixels": [noise], "CPPN": [patterns]}, marks={})

# %% [markdown]
# These are the networks that paint three of the patterns: from a pixel's place, at the left, to its brightness.

# %%
three = np.array([0, 1, 2])
cppn_graph(patterns.archive.genomes.take(three), ["for 0", "for 1", "for 2"], patterns.images[three], columns=1)

# %% [markdown]
# ## An encoding of your own
#
# An encoding says how genomes begin, how they vary, and what they look like. Here is one of 28 genes, the brightness
# of each column. `draws` gives the random numbers of one generation, which depend on the seed alone.


# %%
class Stripes:
    def start(self, count, draws):
        return Genome({"columns": draws.uniform(count, 28, dtype="float32")})

    def vary(self, parents, partners, generation, draws):
        columns, other = parents["columns"], draws.uniform(len(parents), 28, dtype="float32")
        return Genome({"columns": np.where(draws.uniform(*columns.shape) < 0.1, other, columns)})

    def render(self, genomes):
        return np.repeat(genomes["columns"][:, None, None, :], 28, axis=2)  # (N, 1, 28, 28)


stripes = evolve(net, Stripes(), generations=60, population=100, progress=True)
gallery({"stripes": stripes})

# %% [markdown]
# ## Your turn
#
# **1.** Write an encoding `Blocks`: 7 × 7 genes, of which each is the brightness of a square of 4 × 4 pixels.


# %%
class Blocks:
    def start(self, count, draws):
        return Genome({"blocks": draws.uniform(count, 7, 7, dtype="float32")})

    def vary(self, parents, partners, generation, draws):
        """Copies of the parents, with every tenth block drawn anew."""
        ### BEGIN SOLUTION
        blocks = parents["blocks"]
        other = draws.uniform(*blocks.shape, dtype="float32")
        return Genome({"blocks": np.where(draws.uniform(*blocks.shape) < 0.1, other, blocks)})
        ### END SOLUTION

    def render(self, genomes):
        """Images (N, 1, 28, 28)."""
        ### BEGIN SOLUTION
        return genomes["blocks"].repeat(4, axis=1).repeat(4, axis=2)[:, None]
        ### END SOLUTION


# %%
blocks = evolve(net, Blocks(), generations=60, population=100, progress=True)
image = blocks.images[0, 0]
assert blocks.images.shape == (10, 1, 28, 28)
assert (image.reshape(7, 4, 7, 4) == image[::4, ::4][:, None, :, None]).all(), "squares of 4 × 4"
assert (blocks.median[1:] >= blocks.median[:-1]).all()
assert blocks.median[-1] > blocks.median[0], "children that are all like their parents find nothing new"
gallery({"blocks": blocks})

# %% [markdown]
# **2.** In `MapElites` a child may take any niche. In `Elitism` it may only take its parent's. Which gets further
# with `Blocks`? Let both evolve from three seeds, and return the median confidence at the end of each run.


# %%
def final_medians(archive, seeds):
    """The median confidence at the end of a run with this archive, for each seed: a list."""
    ### BEGIN SOLUTION
    runs = [evolve(net, Blocks(), archive=archive, generations=30, population=50, seed=seed) for seed in seeds]
    return [float(run.median[-1]) for run in runs]
    ### END SOLUTION


# %%
together, apart = final_medians(MapElites, [0, 1, 2]), final_medians(Elitism, [0, 1, 2])
assert len(together) == len(apart) == 3
assert all(0 <= p <= 1 for p in together + apart)
assert together == final_medians(MapElites, [0, 1, 2]), "the same seed, the same run"
print("MapElites", np.round(together, 3), " Elitism", np.round(apart, 3))
