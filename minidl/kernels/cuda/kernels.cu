// The kernels of `cuda`.  What each one computes is said by its twin of the same name in `reference`.
//
// `real` is float or double, as the compiler is told.  Arrays are in C order.  Every element of a result has one
// thread that writes it, and that adds up in a fixed order: so there are no atomics, and two runs agree to the bit.
// A thread starts at its own number and goes on by the number of all threads, so that any grid serves.

#define GRID_STRIDE_LOOP(i, count)                                                                        \
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < (count);                     \
         i += (long long)gridDim.x * blockDim.x)


// --- random draws ------------------------------------------------------------------------------------------

// Draw number i of the stream `key`: SplitMix64 in its counter form.
__device__ unsigned long long random_bits(unsigned long long key, long long i)
{
    unsigned long long z = key + (i + 1) * 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

// Element i of a dropout mask: 0 with probability threshold / 2^64, else `scale`.  No draw where none is needed.
__device__ real mask(long long i, unsigned long long key, unsigned long long threshold, real scale)
{
    return threshold == 0 || random_bits(key, i) >= threshold ? scale : 0;
}

extern "C" __global__ void dropout_mask(
    long long count, real* y, unsigned long long key, unsigned long long threshold, real scale)
{
    GRID_STRIDE_LOOP(i, count) y[i] = mask(i, key, threshold, scale);
}


// --- bias, activation and dropout ---------------------------------------------------------------------------

enum { IDENTITY, RELU, TANH, SIGMOID }; // in the order of slopes.py

__device__ real sigmoid(real z)
{
    real small = exp(z < 0 ? z : -z); // at most 1: it cannot overflow
    return (z < 0 ? small : 1) / (1 + small);
}

__device__ real activated(real z, int activation)
{
    switch (activation) {
    case RELU: return z < 0 ? 0 : z; // a NaN stays one
    case TANH: return tanh(z);
    case SIGMOID: return sigmoid(z);
    default: return z;
    }
}

// The slope of the activation, from y, its value.  For SLOPES stands, when this is compiled, what slopes.py says:
// "case TANH: return one - y * y;", and so on.
__device__ real slope(real y, int activation)
{
    const real one = 1;
    switch (activation) {
    SLOPES;
    default: return 0; // there are no others
    }
}

extern "C" __global__ void activate(
    long long count, const real* z, const real* bias, real* y, int units, int activation,
    unsigned long long key, unsigned long long threshold, real scale)
{
    GRID_STRIDE_LOOP(i, count)
    {
        real sum = bias ? z[i] + bias[i % units] : z[i];
        y[i] = activated(sum, activation) * mask(i, key, threshold, scale);
    }
}

// For a stack of cotangents g of one y, of `size` elements.  kept: 1 - rate, which undoes the scale of dropout.
extern "C" __global__ void activate_vjp(
    long long count, const real* g, const real* y, real* result, long long size, int activation,
    unsigned long long key, unsigned long long threshold, real scale, real kept)
{
    GRID_STRIDE_LOOP(i, count)
    {
        long long j = i % size;
        result[i] = g[i] * (slope(y[j] * kept, activation) * mask(j, key, threshold, scale));
    }
}


// --- updates, in place -------------------------------------------------------------------------------------

__device__ real sign(real x)
{
    return x > 0 ? 1 : x < 0 ? -1 : x; // a NaN stays one
}

__device__ real penalised(real g, real w, real l1, real twice_l2)
{
    return g + l1 * sign(w) + twice_l2 * w;
}

extern "C" __global__ void sgd(
    long long count, real* w, const real* g, real* velocity, real lr, real momentum, real l1, real twice_l2,
    int nesterov)
{
    GRID_STRIDE_LOOP(i, count)
    {
        real step = lr * penalised(g[i], w[i], l1, twice_l2);
        velocity[i] = momentum * velocity[i] - step;
        w[i] += nesterov ? momentum * velocity[i] - step : velocity[i];
    }
}

// fresh: 1 - rho.
extern "C" __global__ void rmsprop(
    long long count, real* w, const real* g, real* mean_square, real lr, real rho, real fresh, real epsilon,
    real l1, real twice_l2, int inside)
{
    GRID_STRIDE_LOOP(i, count)
    {
        real gradient = penalised(g[i], w[i], l1, twice_l2);
        real s = mean_square[i] = rho * mean_square[i] + fresh * (gradient * gradient);
        w[i] -= lr * gradient / (inside ? sqrt(s + epsilon) : sqrt(s) + epsilon);
    }
}

// fresh1, fresh2: 1 - beta; rate: lr / (1 - beta1^t); correction: 1 - beta2^t.
extern "C" __global__ void adam(
    long long count, real* w, const real* g, real* mean, real* mean_square, real rate, real correction,
    real beta1, real fresh1, real beta2, real fresh2, real epsilon, real l1, real twice_l2)
{
    GRID_STRIDE_LOOP(i, count)
    {
        real gradient = penalised(g[i], w[i], l1, twice_l2);
        real m = mean[i] = beta1 * mean[i] + fresh1 * gradient;
        real s = mean_square[i] = beta2 * mean_square[i] + fresh2 * (gradient * gradient);
        w[i] -= rate * m / (sqrt(s / correction) + epsilon);
    }
}


// --- batches and attacks -----------------------------------------------------------------------------------

// Rows of `width` elements.  A number outside of 0 ... height - 1 wraps around, as in CuPy.
extern "C" __global__ void gather(
    long long count, const real* x, const long long* rows, real* y, long long height, long long width)
{
    GRID_STRIDE_LOOP(i, count)
    {
        long long row = rows[i / width] % height;
        y[i] = x[(row < 0 ? row + height : row) * width + i % width];
    }
}

__device__ real clipped(real x, real low, real high)
{
    return x < low ? low : x > high ? high : x;
}

// origin may be null, the bounds infinite.
extern "C" __global__ void sign_step(
    long long count, const real* x, const real* g, const real* origin, real* y, real step, real epsilon,
    real low, real high)
{
    GRID_STRIDE_LOOP(i, count)
    {
        real moved = x[i] + step * sign(g[i]);
        if (origin) moved = clipped(moved, origin[i] - epsilon, origin[i] + epsilon);
        y[i] = clipped(moved, low, high);
    }
}

// Adam behind a tanh, for rows of `width`: rate and correction are of each row.  free and tau may be null.  terms is to
// be summed over each row.
extern "C" __global__ void tanh_adam(
    long long count, real* w, const real* g, real* mean, real* mean_square, real* x_adv, const real* x,
    const real* rate, const real* correction, const bool* free, const real* tau, real* terms, long long width,
    real centre, real half, real limit, real low, real high, real beta1, real fresh1, real beta2, real fresh2,
    real epsilon)
{
    GRID_STRIDE_LOOP(i, count)
    {
        long long row = i / width;
        bool still = free && !free[i];
        real d = x_adv[i] - x[i], u = (x_adv[i] - centre) / half;
        real pull = tau ? (fabs(d) > tau[row] ? sign(d) : 0) : 2 * d;
        real slope = still ? 0 : (g[i] + pull) * (half * (1 - u * u));
        real m = mean[i] = beta1 * mean[i] + fresh1 * slope;
        real s = mean_square[i] = beta2 * mean_square[i] + fresh2 * (slope * slope);
        w[i] = clipped(w[i] - rate[row] * m / (sqrt(s / correction[row]) + epsilon), -limit, limit);
        x_adv[i] = still ? x[i] : clipped(centre + half * tanh(w[i]), low, high);
        real distance = fabs(x_adv[i] - x[i]);
        terms[i] = !tau ? distance * distance : distance > tau[row] ? distance - tau[row] : 0;
    }
}


// --- losses: one thread for each row of logits ---------------------------------------------------------------
// The labels are in range: `losses.check_labels` saw to it.

__device__ real greatest(const real* z, int classes)
{
    real top = z[0];
    for (int k = 1; k < classes; ++k)
        if (z[k] > top) top = z[k];
    return top;
}

extern "C" __global__ void cross_entropy(
    long long count, const real* logits, const long long* labels, real* loss, int classes)
{
    GRID_STRIDE_LOOP(row, count)
    {
        const real* z = logits + row * classes;
        real top = greatest(z, classes), total = 0;
        for (int k = 0; k < classes; ++k)
            total += exp(z[k] - top);
        loss[row] = log(total) - (z[labels[row]] - top);
    }
}

// The label's own entry is the sum of the others, not p - 1: see `reference`.
extern "C" __global__ void cross_entropy_gradient(
    long long count, const real* logits, const long long* labels, real* gradient, int classes)
{
    GRID_STRIDE_LOOP(row, count)
    {
        const real* z = logits + row * classes;
        real* p = gradient + row * classes;
        real top = greatest(z, classes), total = 0, others = 0;
        for (int k = 0; k < classes; ++k)
            total += p[k] = exp(z[k] - top);
        for (int k = 0; k < classes; ++k) {
            p[k] /= total;
            if (k != labels[row]) others += p[k];
        }
        p[labels[row]] = -others;
    }
}


// --- convolution and pooling ---------------------------------------------------------------------------------
// Images x (n, channels, height, width) have down * across windows of h * w pixels.  Between the kernels there are
// matrices with the channels first, (channels, n, height, width): then a convolution is one product.

// Which window has this pixel at offset u, or -1 if none has.
__device__ int window_at(int pixel, int u, int stride, int windows)
{
    int start = pixel - u;
    return start >= 0 && start % stride == 0 && start / stride < windows ? start / stride : -1;
}

// columns (channels, h, w, n, down, across): one thread for each window of each channel.
extern "C" __global__ void im2col(
    long long count, const real* x, real* columns, int n, int channels, int height, int width,
    int h, int w, int stride, int padding, int down, int across)
{
    long long windows = (long long)n * down * across;
    GRID_STRIDE_LOOP(i, count)
    {
        long long window = i % windows, channel = i / windows;
        int column = window % across * stride - padding;
        int row = window / across % down * stride - padding;
        const real* image = x + (window / across / down * channels + channel) * height * width;
        for (int u = 0; u < h; ++u)
            for (int v = 0; v < w; ++v) {
                int r = row + u, c = column + v;
                bool inside = 0 <= r && r < height && 0 <= c && c < width;
                columns[((channel * h + u) * w + v) * windows + window] = inside ? image[r * width + c] : 0;
            }
    }
}

// The transpose of im2col: one thread for each pixel of x, which adds up the columns' entries that came from it.
extern "C" __global__ void col2im(
    long long count, const real* columns, real* x, int n, int channels, int height, int width,
    int h, int w, int stride, int padding, int down, int across)
{
    GRID_STRIDE_LOOP(pixel, count)
    {
        int c = pixel % width + padding, r = pixel / width % height + padding;
        long long channel = pixel / width / height % channels, image = pixel / width / height / channels;
        real sum = 0;
        for (int u = 0; u < h; ++u)
            for (int v = 0; v < w; ++v) {
                int i = window_at(r, u, stride, down), j = window_at(c, v, stride, across);
                if (i >= 0 && j >= 0)
                    sum += columns[((((channel * h + u) * w + v) * n + image) * down + i) * across + j];
            }
        x[pixel] = sum;
    }
}

// From z (channels, n, height, width) to y and places (n, channels, down, across): one thread for each window.
// bias (channels) may be null.  A NaN wins, so that it is not hidden.
extern "C" __global__ void max_windows(
    long long count, const real* z, const real* bias, real* y, unsigned char* places, int n, int channels,
    int height, int width, int h, int w, int stride, int down, int across)
{
    GRID_STRIDE_LOOP(window, count)
    {
        int column = window % across * stride, row = window / across % down * stride;
        long long channel = window / across / down % channels, image = window / across / down / channels;
        const real* corner = z + ((channel * n + image) * height + row) * width + column;
        real b = bias ? bias[channel] : 0, best = corner[0] + b;
        int place = 0;
        for (int u = 0; u < h; ++u)
            for (int v = 0; v < w; ++v) {
                real pixel = corner[u * width + v] + b;
                if (pixel > best || pixel != pixel) {
                    best = pixel;
                    place = u * w + v;
                }
            }
        y[window] = best;
        places[window] = place;
    }
}

// From a stack of y (..., down, across) to x (..., height, width), for places of `planes` images: one thread for
// each pixel, which adds up the windows that it won.
extern "C" __global__ void put_into_windows(
    long long count, const real* y, const unsigned char* places, real* x, long long planes,
    int height, int width, int h, int w, int stride, int down, int across)
{
    GRID_STRIDE_LOOP(pixel, count)
    {
        int c = pixel % width, r = pixel / width % height;
        long long plane = pixel / width / height;
        real sum = 0;
        for (int u = 0; u < h; ++u)
            for (int v = 0; v < w; ++v) {
                int i = window_at(r, u, stride, down), j = window_at(c, v, stride, across);
                if (i >= 0 && j >= 0 && places[(plane % planes * down + i) * across + j] == u * w + v)
                    sum += y[(plane * down + i) * across + j];
            }
        x[pixel] = sum;
    }
}


// --- JSMA's search: one thread for each row ------------------------------------------------------------------
// Slopes and domain are (features, rows), so that neighbouring threads read neighbouring numbers.

extern "C" __global__ void best_features(
    long long count, const real* a, const real* b, const bool* domain, long long* found, int features)
{
    GRID_STRIDE_LOOP(row, count)
    {
        real best = 0;
        found[row] = -1;
        for (int p = 0; p < features; ++p) {
            long long i = p * count + row;
            if (domain[i] && a[i] > 0 && b[i] > 0 && a[i] * b[i] > best) {
                best = a[i] * b[i];
                found[row] = p;
            }
        }
    }
}

// Two features, in the order of their rank; a product of -1 says that the pair is not valid.
struct Pair {
    int first, second;
    real product;
};

// One row: its gradients, and a list of the features that the best pair may be made of.
struct Row {
    const real *of_a, *of_b;
    int* list;
    long long rows;
    int length;

    __device__ real a(int p) const { return of_a[p * rows]; }
    __device__ real b(int p) const { return of_b[p * rows]; }
    __device__ int candidate(int i) const { return list[i * rows]; }

    // The features with the greatest a, and with the greatest b.
    __device__ Pair greatest() const
    {
        Pair top = {candidate(0), candidate(0), -1};
        for (int i = 1; i < length; ++i) {
            int p = candidate(i);
            if (a(p) > a(top.first)) top.first = p;
            if (b(p) > b(top.second)) top.second = p;
        }
        return top;
    }

    // Whether p ranks before q: by a, greatest first; of equal a by b; then by number.
    __device__ bool ranks_before(int p, int q) const
    {
        if (a(p) != a(q)) return a(p) > a(q);
        if (b(p) != b(q)) return b(p) > b(q);
        return p < q;
    }

    // Take p and q for `best`, if they are a better pair, or of equal pairs the one that ranks first.
    __device__ void consider(int p, int q, Pair& best) const
    {
        real sum_a = a(p) + a(q), sum_b = b(p) + b(q), product = sum_a * sum_b;
        if (p == q || !(sum_a > 0 && sum_b > 0) || product < best.product) return;
        int first = ranks_before(p, q) ? p : q, second = first == p ? q : p;
        bool earlier = first != best.first ? ranks_before(first, best.first) : ranks_before(second, best.second);
        if (product > best.product || earlier) best = {first, second, product};
    }

    // Try all candidates as partners of p, or the first `some` of them.
    __device__ void try_partners(int p, int some, Pair& best) const
    {
        for (int i = 0; i < some; ++i)
            consider(candidate(i), p, best);
    }

    // No pair with p has a greater product than p would have with a feature that had the greatest a and the greatest
    // b.  (Rounding keeps the order of numbers, so this holds to the bit.)  If that is less than `found`, p is out.
    __device__ void prune(Pair top, real found)
    {
        int kept = 0;
        for (int i = 0; i < length; ++i) {
            int p = candidate(i);
            real sum_a = a(p) + a(top.first), sum_b = b(p) + b(top.second);
            if (sum_a > 0 && sum_b > 0 && sum_a * sum_b >= found) list[kept++ * rows] = p;
        }
        length = kept;
    }
};

// The definition compares all pairs.  Here a good pair is found first, which rules out all but a few dozen features.
extern "C" __global__ void best_pairs(
    long long count, const real* a, const real* b, const bool* domain, int* lists, long long* found, int features)
{
    GRID_STRIDE_LOOP(row, count)
    {
        Row x = {a + row, b + row, lists + row, count, 0};
        for (int p = 0; p < features; ++p)
            if (domain[p * count + row]) x.list[x.length++ * count] = p;

        Pair best = {-1, -1, -1};
        if (x.length > 0) {
            Pair top = x.greatest();
            best = top;
            for (int round = 0; round < 2; ++round) { // partners for those two, then for the best pair so far
                Pair from = best;
                x.try_partners(from.first, x.length, best);
                x.try_partners(from.second, x.length, best);
            }
            x.prune(top, best.product);
            for (int i = 1; i < x.length; ++i)
                x.try_partners(x.candidate(i), i, best);
        }
        found[2 * row] = best.product < 0 ? -1 : best.first;
        found[2 * row + 1] = best.product < 0 ? -1 : best.second;
    }
}


// --- evolution -----------------------------------------------------------------------------------------------

// Draw number i of the stream `key` as a number strictly between 0 and 1, of as many bits as `reference/draws.py` says.
__device__ real random_uniform(unsigned long long key, long long i)
{
    const int bits = sizeof(real) == 4 ? 23 : 52;
    return ((real)(random_bits(key, i) >> (64 - bits)) + (real)0.5) / (1ull << bits);
}

extern "C" __global__ void polynomial_mutation(
    long long count, const real* x, real* y, unsigned long long key, real rate, real power, real low, real high)
{
    GRID_STRIDE_LOOP(i, count)
    {
        y[i] = x[i];
        if (random_uniform(key, 2 * i) < rate) {
            real r = random_uniform(key, 2 * i + 1);
            real delta = 2 * r < 1 ? pow(2 * r, power) - 1 : 1 - pow(2 * (1 - r), power);
            y[i] = clipped(x[i] + delta * (high - low), low, high);
        }
    }
}

// By the number of the function: sine, sigmoid, gaussian, linear.
__device__ real computed(real z, int function)
{
    switch (function) {
    case 0: return sin(z);
    case 1: return 2 / (1 + exp(-z)) - 1;
    case 2: return exp(-z * z);
    default: return clipped(z, -3, 3) / 3;
    }
}

// values (networks, neurons, pixels): one thread for each pixel of each network, which goes from neuron to neuron.
extern "C" __global__ void cppn(
    long long count, const real* weights, const int* functions, const real* inputs, real* values,
    int neurons, int given, long long pixels)
{
    GRID_STRIDE_LOOP(thread, count)
    {
        long long network = thread / pixels, pixel = thread % pixels;
        const real* w = weights + network * neurons * neurons;
        real* v = values + network * neurons * pixels + pixel;
        for (int j = 0; j < neurons; ++j) {
            real z = 0;
            for (int i = 0; i < j; ++i)
                if (w[i * neurons + j] != 0) z += w[i * neurons + j] * v[i * pixels];
            v[j * pixels] = j < given ? inputs[j * pixels + pixel] : computed(z, functions[network * neurons + j]);
        }
    }
}
