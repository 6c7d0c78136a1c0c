#include "impl.h"

#include <gsl/gsl_eigen.h>
#include <gsl/gsl_randist.h>

double rad_arg_num(const rad_arg *arg, int n_arg, int i, double otherwise) {
    return i < n_arg && !isnan(arg[i].num) ? arg[i].num : otherwise;
}

const char *rad_arg_text(const rad_arg *arg, int n_arg, int i, const char *otherwise) {
    return i < n_arg && arg[i].text ? arg[i].text : otherwise;
}

rad_status rad_arg_fraction(const rad_arg *arg, int n_arg, int i, const char *what, double otherwise, double *ret, rad_error *err) {
    const double x = rad_arg_num(arg, n_arg, i, otherwise);
    if (!(x > 0 && x < 1))
        return rad_error_set(err, RAD_E_USAGE, "%s %g: expected a number between 0 and 1", what, x);
    *ret = x;
    return RAD_OK;
}

rad_status rad_arg_word(const char *text, const char *what, const char *const *known, int *ret, rad_error *err) {
    char list[200] = "";
    size_t at = 0;
    for (int i = 0; known[i]; i++) {
        if (strcmp(text, known[i]) == 0) {
            *ret = i;
            return RAD_OK;
        }
        const int w = snprintf(list + at, sizeof list - at, "%s'%s'", i ? ", " : "", known[i]);
        at += (size_t)w < sizeof list - at ? (size_t)w : 0;
    }
    return rad_error_set(err, RAD_E_USAGE, "%s '%.60s': expected one of %s", what, text, list);
}

rad_status rad_arg_numbers(const char *text, const char *what, double *ret, int64_t max, int64_t *ret_n, rad_error *err) {
    int64_t n = 0;
    while (*text) {
        char item[40];
        const size_t len = strcspn(text, ",");
        double x;
        if (len >= sizeof item)
            return rad_error_set(err, RAD_E_USAGE, "%s: '%.40s' is not a number", what, text);
        memcpy(item, text, len);
        item[len] = 0;
        const char *start = item + strspn(item, " ");
        if (!rad_parse_double(start, &x))
            return rad_error_set(err, RAD_E_USAGE, "%s: '%s' is not a number; expected numbers separated by commas", what, item);
        if (n == max)
            return rad_error_set(err, RAD_E_LIMIT, "%s: more than %lld numbers", what, (long long)max);
        ret[n++] = x;
        text += len;
        text += *text == ',';
    }
    *ret_n = n;
    return RAD_OK;
}

double *rad_new_doubles(int64_t n) {
    return rad_calloc((size_t)(n > 0 ? n : 1), sizeof(double));
}

int64_t *rad_new_ints(int64_t n) {
    return rad_calloc((size_t)(n > 0 ? n : 1), sizeof(int64_t));
}

rad_status rad_no_memory(rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "no memory for this statistic");
}

double rad_qnorm(double p) {
    return p > 0.5 ? gsl_cdf_ugaussian_Qinv(1 - p) : gsl_cdf_ugaussian_Pinv(p);
}

double rad_z_level(double level) {
    return gsl_cdf_ugaussian_Pinv(0.5 + level / 2);
}

double rad_p_two_sided(double z) {
    return isnan(z) ? NAN : isinf(z) ? 0 : 2 * gsl_cdf_ugaussian_Q(fabs(z));
}

double rad_p_chisq(double x, double df) {
    return !(df > 0) || isnan(x) ? NAN : isinf(x) ? 0 : x <= 0 ? 1 : gsl_cdf_chisq_Q(x, df);
}

double rad_p_f(double x, double df1, double df2) {
    return !(df1 > 0 && df2 > 0) || isnan(x) ? NAN : isinf(x) ? 0 : x <= 0 ? 1 : gsl_cdf_fdist_Q(x, df1, df2);
}

double rad_p_t_two_sided(double t, double df) {
    if (isnan(t) || !(df > 0))
        return NAN;
    if (isinf(df))
        return rad_p_two_sided(t);
    return isinf(t) ? 0 : 2 * rad_t_tail(fabs(t), df);
}

/* gsl_cdf_tdist_Q loses seven digits far out; the incomplete beta function does not. */
double rad_t_tail(double t, double df) {
    const double q = t * t, half = q < df ? gsl_cdf_beta_Q(q / (df + q), 0.5, df / 2) / 2 : gsl_cdf_beta_P(df / (df + q), df / 2, 0.5) / 2;
    return t >= 0 ? half : 1 - half;
}

double rad_q_t(double p, double df) {
    return isinf(df) ? rad_qnorm(p) : !(df > 0) ? NAN : gsl_cdf_tdist_Pinv(p, df);
}

double rad_p_binomial(int64_t k, int64_t n, double p) {
    if (k < 0)
        return 0;
    if (k >= n)
        return 1;
    if (p <= 0)
        return 1;
    if (p >= 1)
        return 0;
    return gsl_cdf_beta_Q(p, (double)k + 1, (double)(n - k));
}

double rad_d_binomial(int64_t k, int64_t n, double p) {
    if (k < 0 || k > n)
        return 0;
    if (p <= 0 || p >= 1)
        return (p <= 0 ? k == 0 : k == n) ? 1 : 0;
    return exp(lgamma((double)n + 1) - lgamma((double)k + 1) - lgamma((double)(n - k) + 1) + (double)k * log(p) +
               (double)(n - k) * log1p(-p));
}

/* GSL's inverse stops at about 1e-8 for skewed shapes: bisection on the bracket, then Newton steps on its own cdf. */
double rad_q_beta(double p, double a, double b) {
    if (!(p >= 0 && p <= 1) || !(a > 0) || !(b > 0))
        return NAN;
    if (p <= 0)
        return 0;
    if (p >= 1)
        return 1;
    double lo = 0, hi = 1;
    const double mode_side = gsl_cdf_beta_P(0.5, a, b);
    const bool upper = p > 0.9 && mode_side < p; /* work with the small tail */
    const double q = 1 - p;
    double x = a / (a + b);
    for (int i = 0; i < 200; i++) {
        const double miss = upper ? q - gsl_cdf_beta_Q(x, a, b) : gsl_cdf_beta_P(x, a, b) - p;
        if (miss > 0)
            hi = x;
        else
            lo = x;
        const double slope = gsl_ran_beta_pdf(x, a, b);
        double next = slope > 0 && isfinite(slope) ? x - miss / slope : NAN;
        if (!(next > lo && next < hi))
            next = lo > 0 && hi / lo > 4 ? sqrt(lo * hi) : (lo + hi) / 2;
        if (fabs(next - x) <= 1e-16 * x || next == x)
            return next;
        x = next;
    }
    return x;
}

/* K(x) = 1 - Q; Q(x) = 2 sum (-1)^(k-1) exp(-2 k^2 x^2) for large x, by the theta identity for small x (Kolmogorov 1933). */
double rad_p_kolmogorov(double x) {
    if (isnan(x))
        return NAN;
    if (x <= 0)
        return 1;
    const double pi = 3.14159265358979323846;
    if (x < 1) {
        double s = 0;
        for (int k = 1; k < 40; k += 2)
            s += exp(-(double)(k * k) * pi * pi / (8 * x * x));
        return 1 - sqrt(2 * pi) / x * s;
    }
    double s = 0;
    for (int k = 1; k < 40; k++)
        s += (k % 2 ? 1 : -1) * exp(-2.0 * k * k * x * x);
    return 2 * s;
}

double rad_logit(double p) {
    return log(p) - log1p(-p);
}

double rad_expit(double x) {
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

double rad_quantile7(const double *sorted, int64_t n, double p) {
    if (n <= 0)
        return NAN;
    const double index = (double)(n - 1) * p, fuzz = 4 * 2.220446049250313e-16;
    double low = floor(index + fuzz);
    if (low > (double)(n - 1))
        low = (double)(n - 1);
    const double h = index - low;
    const int64_t i = (int64_t)low;
    if (fabs(h) < fuzz || i + 1 >= n || sorted[i + 1] == sorted[i])
        return sorted[i];
    return (1 - h) * sorted[i] + h * sorted[i + 1];
}

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void rad_sort_doubles(double *x, int64_t n) {
    qsort(x, (size_t)n, sizeof *x, compare_doubles);
}

void rad_mean_var(const double *x, int64_t n, double *ret_mean, double *ret_var) {
    double s = 0, q = 0;
    for (int64_t i = 0; i < n; i++)
        s += x[i];
    double m = n > 0 ? s / (double)n : NAN;
    s = 0;
    for (int64_t i = 0; i < n; i++)
        s += x[i] - m;
    if (n > 0)
        m += s / (double)n;
    for (int64_t i = 0; i < n; i++)
        q += (x[i] - m) * (x[i] - m);
    *ret_mean = m;
    *ret_var = n > 1 ? q / (double)(n - 1) : NAN;
}

static void philox(uint32_t c[4], uint32_t k0, uint32_t k1) {
    for (int r = 0; r < 10; r++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c[0], p1 = (uint64_t)0xCD9E8D57u * c[2];
        const uint32_t n0 = (uint32_t)(p1 >> 32) ^ c[1] ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c[3] ^ k1;
        c[1] = (uint32_t)p1;
        c[3] = (uint32_t)p0;
        c[0] = n0;
        c[2] = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

double rad_uniform(uint64_t seed, uint64_t replicate, uint64_t draw) {
    uint32_t c[4] = {(uint32_t)draw, (uint32_t)(draw >> 32), (uint32_t)replicate, (uint32_t)(replicate >> 32)};
    philox(c, (uint32_t)seed, (uint32_t)(seed >> 32));
    const uint64_t u = ((uint64_t)c[0] << 32 | c[1]) >> 11;
    return (double)u * 0x1p-53;
}

int64_t rad_uniform_int(uint64_t seed, uint64_t replicate, uint64_t draw, int64_t n) {
    const int64_t i = (int64_t)(rad_uniform(seed, replicate, draw) * (double)n);
    return i < n ? i : n - 1;
}

rad_status rad_quadratic_pinv(const double *a, const double *x, int64_t k, double *ret, int64_t *ret_rank, rad_error *err) {
    if (k < 1) {
        *ret = 0;
        *ret_rank = 0;
        return RAD_OK;
    }
    double *copy = rad_new_doubles(k * k), *val = rad_new_doubles(k), *vec = rad_new_doubles(k * k);
    gsl_eigen_symmv_workspace *w = gsl_eigen_symmv_alloc((size_t)k);
    rad_status st = RAD_OK;
    if (!copy || !val || !vec || !w) {
        st = rad_no_memory(err);
    } else {
        memcpy(copy, a, (size_t)(k * k) * sizeof *a);
        gsl_matrix_view m = gsl_matrix_view_array(copy, (size_t)k, (size_t)k), v = gsl_matrix_view_array(vec, (size_t)k, (size_t)k);
        gsl_vector_view l = gsl_vector_view_array(val, (size_t)k);
        gsl_eigen_symmv(&m.matrix, &l.vector, &v.matrix, w);
        double top = 0, sum = 0;
        int64_t rank = 0;
        for (int64_t j = 0; j < k; j++)
            top = fmax(top, fabs(val[j]));
        for (int64_t j = 0; j < k; j++)
            if (val[j] > 1e-12 * top) {
                double p = 0;
                for (int64_t i = 0; i < k; i++)
                    p += vec[i * k + j] * x[i];
                sum += p * p / val[j];
                rank++;
            }
        *ret = sum;
        *ret_rank = rank;
    }
    if (w)
        gsl_eigen_symmv_free(w);
    free(copy);
    free(val);
    free(vec);
    return st;
}

/* Cholesky with a relative pivot test, by hand: GSL's version calls the process-wide error handler for a matrix that is not positive
 * definite, which here is an ordinary answer (aliased terms). */
rad_status rad_spd_inverse(const double *a, int64_t k, double *ret_inverse, double *ret_logdet, bool *ret_ok, rad_error *err) {
    double *l = rad_new_doubles(k * k);
    if (!l)
        return rad_no_memory(err);
    double logdet = 0;
    bool ok = true;
    for (int64_t j = 0; j < k && ok; j++) {
        double d = a[j * k + j];
        for (int64_t t = 0; t < j; t++)
            d -= l[j * k + t] * l[j * k + t];
        if (!(d > 1e-13 * fabs(a[j * k + j])) || !isfinite(d)) {
            ok = false;
            break;
        }
        const double r = sqrt(d);
        l[j * k + j] = r;
        logdet += 2 * log(r);
        for (int64_t i = j + 1; i < k; i++) {
            double s = a[i * k + j];
            for (int64_t t = 0; t < j; t++)
                s -= l[i * k + t] * l[j * k + t];
            l[i * k + j] = s / r;
        }
    }
    if (ok) {
        for (int64_t c = 0; c < k; c++) { /* solve L L' x = e_c; column c of the inverse */
            for (int64_t i = 0; i < k; i++) {
                double s = i == c ? 1 : 0;
                for (int64_t t = 0; t < i; t++)
                    s -= l[i * k + t] * ret_inverse[t * k + c];
                ret_inverse[i * k + c] = s / l[i * k + i];
            }
            for (int64_t i = k - 1; i >= 0; i--) {
                double s = ret_inverse[i * k + c];
                for (int64_t t = i + 1; t < k; t++)
                    s -= l[t * k + i] * ret_inverse[t * k + c];
                ret_inverse[i * k + c] = s / l[i * k + i];
            }
        }
    }
    if (ret_logdet)
        *ret_logdet = ok ? logdet : NAN;
    *ret_ok = ok;
    free(l);
    return RAD_OK;
}

void rad_labels(const rad_column *c, int64_t n, int8_t *ret) {
    for (int64_t i = 0; i < n; i++)
        ret[i] = c->value[i] == 1 ? 1 : c->value[i] == 0 ? 0 : -1;
}

int64_t rad_complete(const rad_frame *f, int64_t from, int64_t to, int64_t *ret_keep) {
    int64_t n = 0;
    for (int64_t i = 0; i < f->n; i++) {
        bool ok = true;
        for (int64_t c = from; c < to && ok; c++)
            ok = !isnan(f->column[c].value[i]);
        if (ok)
            ret_keep[n++] = i;
    }
    return n;
}
