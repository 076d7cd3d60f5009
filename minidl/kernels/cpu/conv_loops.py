"""The loops of `cpu/conv.py`, compiled.  In one file: a loop that was compiled and kept does not notice changes to
another file that it calls into.

In memory the channels lie innermost, (N, H, W, C), or (N, H, W·C) where lines are meant.  Letters are those of
`reference/conv.py`: g are cotangents of pooled pixels, (N, I, J, O), or (M, I, J, O) for M/N stacks of them, and places
say which pixel of its pooling window each of them belongs to.
"""

from __future__ import annotations

import numpy as np

from .compiled import compiled


@compiled()
def read_windows(first, last, x, channels, height, width, stride, down, across, rows):
    """Each window of x (N, H, W·C) as a row (h·w·C), images first … last."""
    length = width * channels
    for n in range(first, last):
        for i in range(down):
            for u in range(height):
                line = x[n, i * stride + u]
                for j in range(across):
                    row = rows[(n * down + i) * across + j, u * length : (u + 1) * length]
                    part = line[j * stride * channels : j * stride * channels + length]
                    for k in range(length):
                        row[k] = part[k]


@compiled()
def add_windows(first, last, rows, channels, height, width, stride, down, across, x):
    """The transpose of `read_windows`: each row added to its window."""
    length = width * channels
    for n in range(first, last):
        for i in range(down):
            for j in range(across):
                start = j * stride * channels
                for u in range(height):
                    row = rows[(n * down + i) * across + j, u * length : (u + 1) * length]
                    part = x[n, i * stride + u, start : start + length]
                    for k in range(length):
                        part[k] += row[k]


@compiled(relaxed=False)
def pool(first, last, z, bias, height, width, step, y, places):
    """The maximum of each window of z (N, H, W, O) + bias, and its place; of equals the first."""
    for n in range(first, last):
        for i in range(y.shape[1]):
            for j in range(y.shape[2]):
                best, place, pixel = y[n, i, j], places[n, i, j], z[n, i * step, j * step]
                for o in range(len(best)):
                    best[o] = pixel[o] + bias[o]
                    place[o] = 0
                for q in range(1, height * width):
                    pixel = z[n, i * step + q // width, j * step + q % width]
                    for o in range(len(best)):
                        value = pixel[o] + bias[o]
                        better = (value > best[o]) | (value != value)  # a NaN wins, so that it is not hidden
                        best[o] = value if better else best[o]
                        place[o] = q if better else place[o]


@compiled()
def unpool(first, last, g, places, width, step, x):
    """Each g (M, I, J, O) added to its pixel in x (M, H, W, O); places (N, I, J, O) serve all M/N stacks."""
    for m in range(first, last):
        n = m % places.shape[0]
        for i in range(g.shape[1]):
            for j in range(g.shape[2]):
                for o in range(g.shape[3]):
                    u, v = divmod(np.int64(places[n, i, j, o]), width)
                    x[m, i * step + u, j * step + v, o] += g[m, i, j, o]


@compiled()
def add_rows(total, table, which, factors, count):
    """total += Σ_k factors[k] · table[which[k]], four rows in each pass."""
    k = 0
    while k + 4 <= count:
        a, b, c, d = table[which[k]], table[which[k + 1]], table[which[k + 2]], table[which[k + 3]]
        p, q, r, s = factors[k], factors[k + 1], factors[k + 2], factors[k + 3]
        for i in range(len(total)):
            total[i] += p * a[i] + q * b[i] + r * c[i] + s * d[i]
        k += 4
    while k < count:
        a, p = table[which[k]], factors[k]
        for i in range(len(total)):
            total[i] += p * a[i]
        k += 1


@compiled()
def pull_input(first, last, g, places, filters, channels, height, stride, size, step, x):
    """x (M, H, W·C) for g (M, I, J, O): in each pooling window, for each of its pixels, the filters that chose it."""
    outputs, pixels, length = g.shape[3], size[0] * size[1], filters.shape[1] // height
    which, factors = np.empty((pixels, outputs), np.uint64), np.empty((pixels, outputs), g.dtype)
    count, window = np.empty(pixels, np.int64), np.empty(height * length, g.dtype)
    for m in range(first, last):
        n = m % len(places)
        for i in range(g.shape[1]):
            for j in range(g.shape[2]):
                count[:] = 0
                value, place = g[m, i, j], places[n, i, j]
                for o in range(outputs):
                    q = np.uint64(place[o])
                    k = np.uint64(count[q])
                    which[q, k], factors[q, k] = o, value[o]
                    count[q] += value[o] != 0
                for pixel in range(pixels):
                    if count[pixel] == 0:
                        continue
                    window[:] = 0
                    add_rows(window, filters, which[pixel], factors[pixel], count[pixel])
                    start = (j * step + pixel % size[1]) * stride * channels
                    for u in range(height):
                        part = x[m, (i * step + pixel // size[1]) * stride + u, start : start + length]
                        row = window[u * length : (u + 1) * length]
                        for entry in range(length):
                            part[entry] += row[entry]


@compiled()
def pull_weights(first, last, x, g, places, channels, height, width, stride, size, step, down, across, out):
    """out[part] (O, h·w·C) for g (N, I, J, O), parts first … last of the images: for each filter, its windows."""
    n_images, outputs, parts = g.shape[0], g.shape[3], out.shape[0]
    pooled = g.shape[1] * g.shape[2]
    rows = np.empty((down * across, height * width * channels), g.dtype)
    which, factors = np.empty((outputs, pooled), np.uint64), np.empty((outputs, pooled), g.dtype)
    count = np.empty(outputs, np.int64)
    behind = np.array([q // size[1] * across + q % size[1] for q in range(size[0] * size[1])])  # division is slow
    for part in range(first, last):
        out[part] = 0
        for n in range(n_images * part // parts, n_images * (part + 1) // parts):
            read_windows(0, 1, x[n : n + 1], channels, height, width, stride, down, across, rows)
            count[:] = 0
            for i in range(g.shape[1]):
                for j in range(g.shape[2]):
                    window, value, place = i * step * across + j * step, g[n, i, j], places[n, i, j]
                    for o in range(outputs):
                        k = np.uint64(count[o])
                        which[o, k], factors[o, k] = window + behind[np.uint64(place[o])], value[o]
                        count[o] += value[o] != 0
            for o in range(outputs):
                add_rows(out[part, o], rows, which[o], factors[o], count[o])


@compiled()
def unpool_planes(g, places, behind, step, width, planes):
    """The cotangents g (I, J, O) of one image as planes (O, H'·W); pixel q of a window is behind[q] after its first."""
    planes[:] = 0
    for i in range(g.shape[0]):
        for j in range(g.shape[1]):
            value, place, start = g[i, j], places[i, j], (i * width + j) * step
            for o in range(len(planes)):
                planes[o, np.uint64(start + behind[np.uint64(place[o])])] += value[o]


@compiled()
def pull_input_planes(first, last, g, places, w, shifts, behind, step, width, run, x):
    """x (M, C, H·W) for g (M, I, J, O): each plane times each weight, moved by its shift."""
    planes, numbers = np.empty((len(w), run), g.dtype), np.arange(len(w))
    for m in range(first, last):
        unpool_planes(g[m], places[m % len(places)], behind, step, width, planes)
        for o in range(0, len(w), 4):  # a few planes at a time, which stay in the nearest cache
            few = min(4, len(w) - o)
            for c in range(w.shape[1]):
                for t in range(w.shape[2]):
                    part = x[m, c, shifts[t] : shifts[t] + run]
                    add_rows(part, planes, numbers[o : o + few], w[o : o + few, c, t], few)


@compiled()
def pull_weights_planes(first, last, x, g, places, shifts, behind, step, width, run, out):
    """out[part] (O, C, h·w) for g (N, I, J, O), parts first … last: each plane times the image, at each shift."""
    planes, parts = np.empty((g.shape[3], run), g.dtype), len(out)
    for part in range(first, last):
        out[part] = 0
        for n in range(len(g) * part // parts, len(g) * (part + 1) // parts):
            unpool_planes(g[n], places[n], behind, step, width, planes)
            for o in range(len(planes)):
                for c in range(x.shape[1]):
                    add_products(out[part, o, c], planes[o], x[n, c], shifts)


@compiled()
def add_products(total, plane, image, shifts):
    """total[t] += ⟨plane, image moved by shifts[t]⟩, four shifts in each pass."""
    t, run, zero = 0, len(plane), plane.dtype.type(0)
    while t + 4 <= len(shifts):
        a, b = image[shifts[t] : shifts[t] + run], image[shifts[t + 1] : shifts[t + 1] + run]
        c, d = image[shifts[t + 2] : shifts[t + 2] + run], image[shifts[t + 3] : shifts[t + 3] + run]
        p, q, r, s = zero, zero, zero, zero
        for i in range(run):
            p += plane[i] * a[i]
            q += plane[i] * b[i]
            r += plane[i] * c[i]
            s += plane[i] * d[i]
        total[t] += p
        total[t + 1] += q
        total[t + 2] += r
        total[t + 3] += s
        t += 4
    while t < len(shifts):
        a, p = image[shifts[t] : shifts[t] + run], zero
        for i in range(run):
            p += plane[i] * a[i]
        total[t] += p
        t += 1
