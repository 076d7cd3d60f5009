# %% [markdown]
# # Images from nothing, by evolution
#
# So far each attack began with a digit and followed a gradient. Here you start with random images and use no gradient.
# You evolve images, and the network's confidences select which of them have children (Nguyen, Yosinski and Clune 2015).

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
# A *genome* is the data that an image is made from: here its 784 pixels. There is a niche for each digit, which has the
# image with the highest confidence so far. In each generation, 100 children are made: copies of the ten images, with
# some pixels changed at random. A child with a higher confidence replaces the image of the niche.

# %%
noise = fool_direct(net, generations=60, population=100, progress=True)
print(noise.summary())

# %% [markdown]
# ## Patterns
#
# A genome of the second encoding is a small network, which computes each pixel from its position: a *CPPN*. Its
# structure evolves, too. One gene now affects many pixels, which gives lines, waves and symmetry.

# %%
patterns = fool_cppn(net, generations=60, population=100, progress=True)
gallery({"pixels": noise, "CPPN": patterns}, title="Images with LeNet's confidences")

# %% [markdown]
# You would not call these digits. But the network was never trained to recognise what is *not* a digit. It assigns
# every image to one of ten classes, and its confidence can be high far from all training data.

# %%
median_confidence({"pixels": [noise], "CPPN": [patterns]}, marks={})

# %% [markdown]
# These are the networks of three of the patterns. Each computes the brightness of a pixel (right) from its position
# (left).

# %%
three = np.array([0, 1, 2])
cppn_graph(patterns.archive.genomes.take(three), ["for 0", "for 1", "for 2"], patterns.images[three], columns=1)

# %% [markdown]
# ## An encoding of your own
#
# An encoding has three methods: the first genomes, their variation, and their images. Here is one of 28 genes, the
# brightness of each column. `draws` returns the random numbers of one generation, which depend on the seed only.


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
# **1.** Write an encoding `Blocks` of 7 × 7 genes: each is the brightness of a square of 4 × 4 pixels.


# %%
class Blocks:
    def start(self, count, draws):
        return Genome({"blocks": draws.uniform(count, 7, 7, dtype="float32")})

    def vary(self, parents, partners, generation, draws):
        """Copies of the parents; each block is replaced by a random one with probability .1."""
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
assert blocks.median[-1] > blocks.median[0], "the children must differ from their parents"
gallery({"blocks": blocks})

# %% [markdown]
# **2.** In `MapElites`, a child can replace the image of any niche; in `Elitism`, only that of its parent's niche.
# Which reaches higher confidences with `Blocks`? Run both with three seeds, and return the median confidence at the end
# of each run.


# %%
def final_medians(archive, seeds):
    """The median confidence at the end of a run with this archive, for each seed: a list."""
    ### BEGIN SOLUTION
    runs = [evolve(net, Blocks(), archive=archive, generations=30, population=50, seed=seed) for seed in seeds]
    return [float(run.median[-1]) for run in runs]
    ### END SOLUTION


# %%
shared, separate = final_medians(MapElites, [0, 1, 2]), final_medians(Elitism, [0, 1, 2])
assert len(shared) == len(separate) == 3
assert all(0 <= p <= 1 for p in shared + separate)
assert shared == final_medians(MapElites, [0, 1, 2]), "the same seed must give the same run"
print("MapElites", np.round(shared, 3), " Elitism", np.round(separate, 3))
