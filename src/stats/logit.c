#include "logit.h"

#include "impl.h"

/* A separated model gains about 1 in the linear predictor per step for ever; a model with a maximum has converged long before. */
enum { MAX_STEPS = 100, HALVINGS = 30 };

void rad_logit_release(rad_logit_model *f) {
    free(f->beta);
    free(f->cov);
    free(f->step);
    free(f->mu);
    *f = (rad_logit_model){0};
}

static double log1pexp(double x) {
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

typedef struct work {
    const double *x, *y, *offset;
    int64_t n, p;
    bool firth;
    double *eta, *info, *inverse;
} work;

/* eta, mu, information (p x p) and its inverse; log likelihood, penalised when firth. False when the information is singular. */
static rad_status evaluate(work *w, const double *beta, double *mu, double *ret_loglik, bool *ret_ok, rad_error *err) {
    const int64_t p = w->p;
    double ll = 0, logdet = 0;
    memset(w->info, 0, (size_t)(p * p) * sizeof *w->info);
    for (int64_t i = 0; i < w->n; i++) {
        const double *row = w->x + i * p;
        double eta = w->offset ? w->offset[i] : 0;
        for (int64_t j = 0; j < p; j++)
            eta += row[j] * beta[j];
        const double m = rad_expit(eta), v = m * (1 - m);
        w->eta[i] = eta;
        mu[i] = m;
        ll += w->y[i] * eta - log1pexp(eta);
        for (int64_t a = 0; a < p; a++)
            for (int64_t b = 0; b <= a; b++)
                w->info[a * p + b] += v * row[a] * row[b];
    }
    for (int64_t a = 0; a < p; a++)
        for (int64_t b = a + 1; b < p; b++)
            w->info[a * p + b] = w->info[b * p + a];
    const rad_status st = rad_spd_inverse(w->info, p, w->inverse, &logdet, ret_ok, err);
    *ret_loglik = w->firth ? ll + logdet / 2 : ll;
    return st;
}

/* Score; for Firth with the correction h (1/2 - mu), h the diagonal of the hat matrix. */
static void score_of(const work *w, const double *mu, double *score) {
    const int64_t p = w->p;
    memset(score, 0, (size_t)p * sizeof *score);
    for (int64_t i = 0; i < w->n; i++) {
        const double *row = w->x + i * p;
        double r = w->y[i] - mu[i];
        if (w->firth) {
            double h = 0;
            for (int64_t a = 0; a < p; a++) {
                double s = 0;
                for (int64_t b = 0; b < p; b++)
                    s += w->inverse[a * p + b] * row[b];
                h += row[a] * s;
            }
            r += mu[i] * (1 - mu[i]) * h * (0.5 - mu[i]);
        }
        for (int64_t j = 0; j < p; j++)
            score[j] += row[j] * r;
    }
}

/* Newton step of the coefficients that are free. */
static rad_status newton_step(const work *w, const double *score, int64_t hold, double *step, bool *ret_ok, rad_error *err) {
    const int64_t p = w->p, m = hold >= 0 ? p - 1 : p;
    if (hold < 0) {
        *ret_ok = true;
        for (int64_t a = 0; a < p; a++) {
            step[a] = 0;
            for (int64_t b = 0; b < p; b++)
                step[a] += w->inverse[a * p + b] * score[b];
        }
        return RAD_OK;
    }
    double *sub = rad_new_doubles(m * m), *inv = rad_new_doubles(m * m);
    rad_status st = sub && inv ? RAD_OK : rad_no_memory(err);
    if (st == RAD_OK) {
        for (int64_t a = 0; a < m; a++)
            for (int64_t b = 0; b < m; b++)
                sub[a * m + b] = w->info[(a + (a >= hold)) * p + b + (b >= hold)];
        st = rad_spd_inverse(sub, m, inv, NULL, ret_ok, err);
    }
    if (st == RAD_OK && *ret_ok) {
        step[hold] = 0;
        for (int64_t a = 0; a < m; a++) {
            double s = 0;
            for (int64_t b = 0; b < m; b++)
                s += inv[a * m + b] * score[b + (b >= hold)];
            step[a + (a >= hold)] = s;
        }
    }
    free(sub);
    free(inv);
    return st;
}

static double largest_change(const work *w, const double *step) {
    double most = 0;
    for (int64_t i = 0; i < w->n; i++) {
        double s = 0;
        for (int64_t j = 0; j < w->p; j++)
            s += w->x[i * w->p + j] * step[j];
        most = fmax(most, fabs(s));
    }
    return most;
}

rad_status rad_logit_fit(const double *x, const double *y, const double *offset, int64_t n, int64_t p, bool firth, int64_t hold,
                         double value, const double *start, rad_logit_model *ret, rad_error *err) {
    rad_status st = RAD_OK;
    rad_logit_model f = {.p = p};
    work w = {.x = x, .y = y, .offset = offset, .n = n, .p = p, .firth = firth};
    double *score = rad_new_doubles(p), *trial = rad_new_doubles(p);
    f.beta = rad_new_doubles(p);
    f.cov = rad_new_doubles(p * p);
    f.step = rad_new_doubles(p);
    f.mu = rad_new_doubles(n);
    w.eta = rad_new_doubles(n);
    w.info = rad_new_doubles(p * p);
    w.inverse = rad_new_doubles(p * p);
    if (!score || !trial || !f.beta || !f.cov || !f.step || !f.mu || !w.eta || !w.info || !w.inverse) {
        st = rad_no_memory(err);
        goto out;
    }
    if (start)
        memcpy(f.beta, start, (size_t)p * sizeof *start);
    if (hold >= 0)
        f.beta[hold] = value;
    bool ok;
    double loglik;
    RAD_TRY(evaluate(&w, f.beta, f.mu, &loglik, &ok, err));
    int settled = 0;
    while (ok && f.iterations < MAX_STEPS) {
        score_of(&w, f.mu, score);
        RAD_TRY(newton_step(&w, score, hold, f.step, &ok, err));
        if (!ok)
            break;
        double change = largest_change(&w, f.step), scale = firth && change > 5 ? 5 / change : 1;
        if (change < 1e-7 && ++settled > 2) { /* quadratic: two more steps after 1e-7 are at rounding */
            f.converged = true;
            break;
        }
        f.iterations++;
        double next = NAN;
        for (int h = 0; h < HALVINGS; h++, scale /= 2) {
            for (int64_t j = 0; j < p; j++)
                trial[j] = f.beta[j] + scale * f.step[j];
            RAD_TRY(evaluate(&w, trial, f.mu, &next, &ok, err));
            if (ok && next >= loglik - 1e-9 * (1 + fabs(loglik)))
                break;
        }
        if (!ok)
            break;
        memcpy(f.beta, trial, (size_t)p * sizeof *trial);
        loglik = next;
    }
    f.loglik = loglik;
    f.separated = !firth && hold < 0 && !f.converged;
    memcpy(f.cov, w.inverse, (size_t)(p * p) * sizeof *f.cov);
    *ret = f;
    f = (rad_logit_model){0};
out:
    rad_logit_release(&f);
    free(score);
    free(trial);
    free(w.eta);
    free(w.info);
    free(w.inverse);
    return st;
}

/* Drop of the profile below its top, minus what is allowed; negative inside the interval. `start` follows along. */
static rad_status excess(const double *x, const double *y, int64_t n, int64_t p, bool firth, double top, int64_t j, double value,
                         double allowed, double *start, double *ret, rad_error *err) {
    rad_logit_model f = {0};
    const rad_status st = rad_logit_fit(x, y, NULL, n, p, firth, j, value, start, &f, err);
    if (st != RAD_OK)
        return st;
    *ret = 2 * (top - f.loglik) - allowed;
    if (f.converged)
        memcpy(start, f.beta, (size_t)p * sizeof *start);
    rad_logit_release(&f);
    return RAD_OK;
}

rad_status rad_logit_profile(const double *x, const double *y, int64_t n, int64_t p, bool firth, const rad_logit_model *best, int64_t j,
                             double level, double *ret_lower, double *ret_upper, rad_error *err) {
    const double allowed = gsl_cdf_chisq_Pinv(level, 1), se = sqrt(best->cov[j * p + j]), z = rad_z_level(level);
    double *start = rad_new_doubles(p), limit[2] = {NAN, NAN};
    rad_status st = RAD_OK;
    if (!start)
        return rad_no_memory(err);
    for (int side = 0; side < 2; side++) {
        double in = best->beta[j], f_in = -allowed, width = (side ? z : -z) * se, out = in + width, f_out = NAN;
        memcpy(start, best->beta, (size_t)p * sizeof *start);
        bool found = false;
        for (int i = 0; i < 40 && !found; i++) {
            RAD_TRY(excess(x, y, n, p, firth, best->loglik, j, out, allowed, start, &f_out, err));
            found = f_out >= 0;
            if (!found) {
                in = out;
                f_in = f_out;
                width *= 1.5;
                out += width;
            }
        }
        if (!found)
            continue;
        /* regula falsi with the Illinois correction */
        int stuck = 0;
        for (int i = 0; i < 60 && fabs(out - in) > 1e-10 * (1 + fabs(in)); i++) {
            double mid = (in * f_out - out * f_in) / (f_out - f_in), f_mid;
            if (!(mid > fmin(in, out) && mid < fmax(in, out)))
                mid = (in + out) / 2;
            RAD_TRY(excess(x, y, n, p, firth, best->loglik, j, mid, allowed, start, &f_mid, err));
            if (f_mid < 0) {
                in = mid;
                f_in = f_mid;
                if (stuck == 1)
                    f_out /= 2;
                stuck = 1;
            } else {
                out = mid;
                f_out = f_mid;
                if (stuck == -1)
                    f_in /= 2;
                stuck = -1;
            }
            if (fabs(f_mid) < 1e-11)
                in = out = mid;
        }
        limit[side] = (in + out) / 2;
    }
    *ret_lower = limit[0];
    *ret_upper = limit[1];
out:
    free(start);
    return st;
}
