#include "design.h"

#include "impl.h"

enum { MAX_FACTORS = 4, MAX_TERMS = 200 };

typedef struct variable {
    char *name;
    const rad_column *column;
    bool category;
    int64_t n_level;
    double *code; /* n: value, or level number */
    char **level;
} variable;

typedef struct parsed {
    variable var[MAX_TERMS];
    int64_t n_var;
    int64_t term[MAX_TERMS][MAX_FACTORS], order[MAX_TERMS];
    int64_t n_term;
    const rad_column *y, *group;
    bool random;
} parsed;

static void parsed_release(parsed *q) {
    for (int64_t i = 0; i < q->n_var; i++) {
        free(q->var[i].name);
        free(q->var[i].code);
        for (int64_t k = 0; k < q->var[i].n_level && q->var[i].level; k++)
            free(q->var[i].level[k]);
        free(q->var[i].level);
    }
    free(q);
}

void rad_design_release(rad_design *d) {
    free(d->x);
    free(d->y);
    free(d->group);
    for (int64_t j = 0; j < d->p && d->name; j++)
        free(d->name[j]);
    for (int64_t t = 0; t < d->n_term && d->term; t++)
        free(d->term[t]);
    free(d->name);
    free(d->term);
    free(d->term_of);
    free(d->order);
    *d = (rad_design){0};
}

static const rad_column *find_column(const rad_frame *f, const char *name, size_t len) {
    for (int64_t c = 0; c < f->n_column; c++) {
        const char *have = f->column[c].name;
        if (have && strlen(have) == len && memcmp(have, name, len) == 0)
            return &f->column[c];
    }
    return NULL;
}

/* Length of the piece of s up to one of `stops` outside parentheses. */
static size_t piece(const char *s, const char *stops) {
    int depth = 0;
    size_t i = 0;
    for (; s[i]; i++) {
        if (s[i] == '(')
            depth++;
        else if (s[i] == ')')
            depth--;
        else if (depth == 0 && strchr(stops, s[i]))
            break;
    }
    return i;
}

static void trim(const char **s, size_t *len) {
    while (*len && (**s == ' ' || **s == '\t' || **s == '\n')) {
        (*s)++;
        (*len)--;
    }
    while (*len && ((*s)[*len - 1] == ' ' || (*s)[*len - 1] == '\t' || (*s)[*len - 1] == '\n'))
        (*len)--;
}

static int compare_values(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Levels of a number column that factor() makes a category. */
static rad_status number_levels(variable *v, int64_t n, rad_error *err) {
    double *sorted = rad_new_doubles(n);
    if (!sorted)
        return rad_no_memory(err);
    int64_t m = 0, k = 0;
    for (int64_t i = 0; i < n; i++)
        if (!isnan(v->column->value[i]))
            sorted[m++] = v->column->value[i];
    qsort(sorted, (size_t)m, sizeof *sorted, compare_values);
    for (int64_t i = 0; i < m; i++)
        if (i == 0 || sorted[i] != sorted[i - 1])
            sorted[k++] = sorted[i];
    rad_status st = RAD_OK;
    if (k > RAD_DESIGN_MAX_COLUMNS)
        st = rad_error_set(err, RAD_E_LIMIT, "factor(%s) has %lld levels: at most %d", v->name, (long long)k, RAD_DESIGN_MAX_COLUMNS);
    else if (!(v->level = rad_calloc((size_t)k + 1, sizeof *v->level)))
        st = rad_no_memory(err);
    for (int64_t i = 0; i < k && st == RAD_OK; i++) {
        v->level[i] = rad_asprintf("%.15g", sorted[i]);
        v->n_level++;
        st = v->level[i] ? RAD_OK : rad_no_memory(err);
    }
    for (int64_t i = 0; i < n && st == RAD_OK; i++) {
        const double x = v->column->value[i];
        v->code[i] = NAN;
        for (int64_t j = 0; j < k && !isnan(x); j++)
            if (sorted[j] == x)
                v->code[i] = (double)j;
    }
    free(sorted);
    return st;
}

static rad_status add_variable(const rad_frame *f, parsed *q, const char *s, size_t len, int64_t *ret, rad_error *err) {
    bool factor = false;
    trim(&s, &len);
    const rad_column *col = find_column(f, s, len);
    if (!col && len > 8 && memcmp(s, "factor(", 7) == 0 && s[len - 1] == ')') {
        factor = true;
        s += 7;
        len -= 8;
        trim(&s, &len);
        col = find_column(f, s, len);
    }
    if (!col) {
        const char *names[RAD_DESIGN_MAX_COLUMNS + 1];
        char word[100];
        int64_t m = 0;
        snprintf(word, sizeof word, "%.*s", (int)(len < 99 ? len : 99), s);
        for (int64_t c = 0; c < f->n_column && m < RAD_DESIGN_MAX_COLUMNS; c++)
            if (f->column[c].name)
                names[m++] = f->column[c].name;
        names[m] = NULL;
        const char *near = rad_nearest_word(word, names);
        return rad_error_set(err, RAD_E_USAGE, "formula: no column '%s' in the SELECT%s%s%s", word, near ? "; did you mean '" : "",
                             near ? near : "", near ? "'?" : "");
    }
    for (int64_t i = 0; i < q->n_var; i++)
        if (q->var[i].column == col) {
            *ret = i;
            return RAD_OK;
        }
    if (q->n_var == MAX_TERMS)
        return rad_error_set(err, RAD_E_LIMIT, "formula: more than %d variables", MAX_TERMS);
    variable *v = &q->var[q->n_var];
    *v = (variable){.column = col, .category = factor || col->level};
    v->name = rad_strndup(s, len);
    v->code = rad_new_doubles(f->n);
    *ret = q->n_var++;
    if (!v->name || !v->code)
        return rad_no_memory(err);
    if (!v->category || col->level)
        memcpy(v->code, col->value, (size_t)f->n * sizeof *v->code);
    if (factor && !col->level)
        return number_levels(v, f->n, err);
    if (col->level) {
        if (col->n_level > RAD_DESIGN_MAX_COLUMNS)
            return rad_error_set(err, RAD_E_LIMIT, "'%s' has %lld levels: at most %d", v->name, (long long)col->n_level,
                                 RAD_DESIGN_MAX_COLUMNS);
        v->level = rad_calloc((size_t)col->n_level + 1, sizeof *v->level);
        for (int64_t k = 0; k < col->n_level && v->level; k++, v->n_level++)
            if (!(v->level[k] = rad_strdup(col->level[k])))
                return rad_no_memory(err);
        if (!v->level)
            return rad_no_memory(err);
    }
    return RAD_OK;
}

static rad_status add_term(parsed *q, const int64_t *vars, int64_t order, rad_error *err) {
    for (int64_t t = 0; t < q->n_term; t++)
        if (q->order[t] == order && memcmp(q->term[t], vars, (size_t)order * sizeof *vars) == 0)
            return RAD_OK;
    if (q->n_term == MAX_TERMS)
        return rad_error_set(err, RAD_E_LIMIT, "formula: more than %d terms", MAX_TERMS);
    memcpy(q->term[q->n_term], vars, (size_t)order * sizeof *vars);
    q->order[q->n_term++] = order;
    return RAD_OK;
}

/* One piece between plus signs. */
static rad_status parse_piece(const rad_frame *f, parsed *q, const char *s, size_t len, rad_error *err) {
    rad_status st = RAD_OK;
    trim(&s, &len);
    if (len == 1 && *s == '1')
        return RAD_OK;
    const bool random = len > 4 && memcmp(s, "(1|", 3) == 0, cluster = len > 9 && memcmp(s, "cluster(", 8) == 0;
    const bool strata = len > 8 && memcmp(s, "strata(", 7) == 0;
    if (random || cluster || strata) {
        const size_t skip = random ? 3 : cluster ? 8 : 7;
        const char *g = s + skip;
        size_t m = len - skip - 1;
        trim(&g, &m);
        q->group = find_column(f, g, m);
        q->random = random;
        if (!q->group)
            return rad_error_set(err, RAD_E_USAGE, "formula: no column '%.*s' in the SELECT", (int)m, g);
        return RAD_OK;
    }
    int64_t vars[MAX_FACTORS], n = 0;
    bool cross = false;
    for (const char *at = s; at < s + len;) {
        size_t m = piece(at, "*:+");
        if (at + m > s + len)
            m = (size_t)(s + len - at);
        if (n == MAX_FACTORS)
            return rad_error_set(err, RAD_E_LIMIT, "formula: more than %d variables multiplied in '%.*s'", MAX_FACTORS, (int)len, s);
        RAD_TRY(add_variable(f, q, at, m, &vars[n], err));
        n++;
        cross = cross || (at + m < s + len && at[m] == '*');
        at += m + 1;
    }
    if (n == 0)
        return rad_error_set(err, RAD_E_USAGE, "formula: an empty term");
    if (cross) /* a*b*c: all products of 1, 2, ... of them */
        for (int64_t size = 1; size < n; size++)
            for (unsigned set = 1; set < 1u << n; set++) {
                int64_t some[MAX_FACTORS], m = 0;
                for (int64_t i = 0; i < n; i++)
                    if (set >> i & 1)
                        some[m++] = vars[i];
                if (m == size)
                    RAD_TRY(add_term(q, some, m, err));
            }
    st = add_term(q, vars, n, err);
out:
    return st;
}

static int by_order(const void *a, const void *b, const parsed *q) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return q->order[x] != q->order[y] ? (q->order[x] < q->order[y] ? -1 : 1) : x < y ? -1 : 1;
}

static rad_status parse(const rad_frame *f, const char *formula, parsed *q, rad_error *err) {
    rad_status st = RAD_OK;
    if (!formula || !*formula) {
        q->y = &f->column[0];
        for (int64_t c = 1; c < f->n_column; c++) {
            const char *name = f->column[c].name;
            int64_t v;
            if (!name)
                return rad_error_set(err, RAD_E_USAGE, "columns without names");
            RAD_TRY(add_variable(f, q, name, strlen(name), &v, err));
            RAD_TRY(add_term(q, &v, 1, err));
        }
        return RAD_OK;
    }
    const char *tilde = strchr(formula, '~');
    if (!tilde)
        return rad_error_set(err, RAD_E_USAGE, "formula '%.100s': expected 'y ~ terms'", formula);
    const char *name = formula;
    size_t len = (size_t)(tilde - formula);
    trim(&name, &len);
    q->y = find_column(f, name, len);
    if (!q->y)
        return rad_error_set(err, RAD_E_USAGE, "formula: no column '%.*s' in the SELECT", (int)len, name);
    for (const char *s = tilde + 1; *s;) {
        const size_t m = piece(s, "+");
        RAD_TRY(parse_piece(f, q, s, m, err));
        s += m;
        s += *s == '+';
    }
out:
    return st;
}

static bool row_complete(const parsed *q, int64_t i) {
    bool ok = !isnan(q->y->value[i]) && (!q->group || !isnan(q->group->value[i]));
    for (int64_t v = 0; v < q->n_var && ok; v++)
        ok = !isnan(q->var[v].code[i]);
    return ok;
}

/* Columns of one term: the product over its variables of 1 or of the levels but the first. */
static int64_t width(const parsed *q, int64_t t, int64_t size[MAX_FACTORS]) {
    int64_t combos = 1;
    for (int64_t a = 0; a < q->order[t]; a++) {
        const variable *v = &q->var[q->term[t][a]];
        size[a] = v->category ? v->n_level - 1 : 1;
        combos *= size[a];
    }
    return combos;
}

/* Names and values of the columns of one term, first variable fastest; d->x has `stride` columns. */
static rad_status expand(const parsed *q, int64_t t, const int64_t *keep, int64_t stride, rad_design *d, rad_error *err) {
    int64_t size[MAX_FACTORS] = {1, 1, 1, 1};
    const int64_t combos = width(q, t, size);
    for (int64_t c = 0; c < combos; c++) {
        rad_buf name;
        rad_buf_init(&name, 4096);
        int64_t left = c, level[MAX_FACTORS] = {0};
        rad_status st = RAD_OK;
        for (int64_t a = 0; a < q->order[t] && st == RAD_OK; a++) {
            const variable *v = &q->var[q->term[t][a]];
            level[a] = left % size[a] + 1;
            left /= size[a];
            st = v->category ? rad_buf_printf(&name, err, "%s%s=%s", a ? ":" : "", v->name, v->level[level[a]])
                             : rad_buf_printf(&name, err, "%s%s", a ? ":" : "", v->name);
        }
        if (st == RAD_OK) {
            for (int64_t i = 0; i < d->n; i++) {
                double x = 1;
                for (int64_t a = 0; a < q->order[t]; a++) {
                    const variable *v = &q->var[q->term[t][a]];
                    const double code = v->code[keep[i]];
                    x *= v->category ? (code == (double)level[a] ? 1 : 0) : code;
                }
                d->x[i * stride + d->p] = x;
            }
            d->term_of[d->p] = t;
            d->name[d->p] = rad_strdup(name.data);
            st = d->name[d->p] ? RAD_OK : rad_no_memory(err);
            d->p++;
        }
        rad_buf_release(&name);
        if (st != RAD_OK)
            return st;
    }
    return RAD_OK;
}

/* Group numbers in order of appearance. */
static rad_status number_groups(const rad_column *g, const int64_t *keep, rad_design *d, rad_error *err) {
    int64_t *order = rad_new_ints(d->n);
    double *x = rad_new_doubles(d->n);
    d->group = rad_new_ints(d->n);
    rad_status st = order && x && d->group ? RAD_OK : rad_no_memory(err);
    for (int64_t i = 0; i < d->n && st == RAD_OK; i++)
        x[i] = g->value[keep[i]];
    if (st == RAD_OK)
        st = rad_order(x, d->n, order, err);
    for (int64_t i = 0; i < d->n && st == RAD_OK; i++) {
        if (i == 0 || x[order[i]] != x[order[i - 1]])
            d->n_group++;
        d->group[order[i]] = d->n_group - 1;
    }
    free(order);
    free(x);
    return st;
}

static rad_status build(const rad_frame *f, parsed *q, rad_design *d, rad_error *err) {
    int64_t *keep = rad_new_ints(f->n), order[MAX_TERMS];
    rad_status st = RAD_OK;
    size_t cells;
    if (!keep)
        return rad_no_memory(err);
    for (int64_t i = 0; i < f->n; i++)
        if (row_complete(q, i))
            keep[d->n++] = i;
    d->n_missing = f->n - d->n;
    for (int64_t i = 0; i < q->n_term; i++) { /* lower products first, as R does; few terms: insertion */
        int64_t j = i;
        for (; j > 0 && by_order(&order[j - 1], &i, q) > 0; j--)
            order[j] = order[j - 1];
        order[j] = i;
    }
    int64_t stride = 1, size[MAX_FACTORS];
    for (int64_t t = 0; t < q->n_term && stride <= RAD_DESIGN_MAX_COLUMNS; t++)
        stride += width(q, t, size);
    if (stride > RAD_DESIGN_MAX_COLUMNS || !rad_mul_size((size_t)d->n + 1, (size_t)stride, &cells)) {
        st = rad_error_set(err, RAD_E_LIMIT, "formula: more than %d columns, or too many rows (%lld)", RAD_DESIGN_MAX_COLUMNS,
                           (long long)d->n);
        goto out;
    }
    d->x = rad_calloc(cells, sizeof *d->x);
    d->y = rad_new_doubles(d->n);
    d->name = rad_calloc((size_t)stride, sizeof *d->name);
    d->term_of = rad_new_ints(stride);
    d->term = rad_calloc(MAX_TERMS, sizeof *d->term);
    d->order = rad_new_ints(MAX_TERMS);
    if (!d->x || !d->y || !d->name || !d->term_of || !d->term || !d->order) {
        st = rad_no_memory(err);
        goto out;
    }
    for (int64_t i = 0; i < d->n; i++) {
        d->y[i] = q->y->value[keep[i]];
        d->x[i * stride] = 1;
        if (d->y[i] != 0 && d->y[i] != 1) {
            st = rad_error_set(err, RAD_E_USAGE, "outcome %g in row %lld: expected 0 or 1", d->y[i], (long long)keep[i] + 1);
            goto out;
        }
    }
    d->name[0] = rad_strdup("(Intercept)");
    d->term_of[0] = -1;
    d->p = 1;
    if (!d->name[0]) {
        st = rad_no_memory(err);
        goto out;
    }
    for (int64_t k = 0; k < q->n_term; k++) {
        const int64_t t = order[k], from = d->p;
        rad_buf name;
        rad_buf_init(&name, 4096);
        for (int64_t a = 0; a < q->order[t] && st == RAD_OK; a++)
            st = rad_buf_printf(&name, err, "%s%s", a ? ":" : "", q->var[q->term[t][a]].name);
        if (st == RAD_OK && !(d->term[k] = rad_strdup(name.data)))
            st = rad_no_memory(err);
        rad_buf_release(&name);
        d->n_term = k + 1;
        d->order[k] = q->order[t];
        if (st == RAD_OK)
            st = expand(q, t, keep, stride, d, err);
        if (st != RAD_OK)
            goto out;
        for (int64_t j = from; j < d->p; j++)
            d->term_of[j] = k;
    }
    if (q->group)
        st = number_groups(q->group, keep, d, err);
    d->random = q->random;
out:
    free(keep);
    return st;
}

rad_status rad_design_init(const rad_frame *f, const char *formula, rad_design *ret, rad_error *err) {
    rad_design d = {0};
    parsed *q = rad_calloc(1, sizeof *q);
    if (!q)
        return rad_no_memory(err);
    rad_status st = parse(f, formula, q, err);
    if (st == RAD_OK && q->y->level)
        st = rad_error_set(err, RAD_E_USAGE, "the outcome is text: expected 0 and 1");
    if (st == RAD_OK)
        st = build(f, q, &d, err);
    parsed_release(q);
    if (st == RAD_OK)
        *ret = d;
    else
        rad_design_release(&d);
    return st;
}

bool rad_design_contains(const rad_design *d, int64_t a, int64_t b) {
    /* names are joined by ':', each variable once: every variable of a must be a part of b */
    if (d->order[b] <= d->order[a])
        return false;
    for (const char *s = d->term[a]; *s;) {
        const size_t len = piece(s, ":");
        bool found = false;
        for (const char *u = d->term[b]; *u && !found;) {
            const size_t m = piece(u, ":");
            found = m == len && memcmp(u, s, len) == 0;
            u += m + (u[m] == ':');
        }
        if (!found)
            return false;
        s += len + (s[len] == ':');
    }
    return true;
}

void rad_design_drop(rad_design *d, const bool *drop) {
    int64_t m = 0;
    for (int64_t j = 0; j < d->p; j++)
        m += !drop[j];
    for (int64_t i = 0; i < d->n; i++) {
        int64_t to = 0;
        for (int64_t j = 0; j < d->p; j++)
            if (!drop[j])
                d->x[i * m + to++] = d->x[i * d->p + j];
    }
    int64_t to = 0;
    for (int64_t j = 0; j < d->p; j++) {
        if (drop[j]) {
            free(d->name[j]);
            continue;
        }
        d->name[to] = d->name[j];
        d->term_of[to++] = d->term_of[j];
    }
    d->p = m;
}

rad_status rad_design_without(const rad_design *d, int64_t term, rad_design *ret, rad_error *err) {
    rad_design c = {.n = d->n, .n_missing = d->n_missing};
    bool *drop = rad_calloc((size_t)d->p, sizeof *drop);
    rad_status st = RAD_OK;
    c.x = rad_new_doubles(d->n * d->p);
    c.y = rad_new_doubles(d->n);
    c.name = rad_calloc((size_t)d->p, sizeof *c.name);
    c.term_of = rad_new_ints(d->p);
    if (!drop || !c.x || !c.y || !c.name || !c.term_of) {
        st = rad_no_memory(err);
        goto out;
    }
    memcpy(c.x, d->x, (size_t)(d->n * d->p) * sizeof *c.x);
    memcpy(c.y, d->y, (size_t)d->n * sizeof *c.y);
    for (int64_t j = 0; j < d->p; j++) {
        c.term_of[j] = d->term_of[j];
        drop[j] = term < 0 ? j > 0 : d->term_of[j] == term;
        if (!(c.name[j] = rad_strdup(d->name[j]))) {
            st = rad_no_memory(err);
            goto out;
        }
        c.p++;
    }
    rad_design_drop(&c, drop);
    *ret = c;
    c = (rad_design){0};
out:
    rad_design_release(&c);
    free(drop);
    return st;
}

rad_status rad_design_aliased(const rad_design *d, bool *ret_aliased, int64_t *ret_n, rad_error *err) {
    double *q = rad_new_doubles(d->n * d->p), *v = rad_new_doubles(d->n); /* q: orthonormal columns, one after the other */
    int64_t rank = 0;
    if (!q || !v) {
        free(q);
        free(v);
        return rad_no_memory(err);
    }
    *ret_n = 0;
    for (int64_t j = 0; j < d->p; j++) {
        double before = 0, after = 0;
        for (int64_t i = 0; i < d->n; i++) {
            v[i] = d->x[i * d->p + j];
            before += v[i] * v[i];
        }
        for (int pass = 0; pass < 2; pass++) /* twice is enough (Kahan) */
            for (int64_t k = 0; k < rank; k++) {
                double dot = 0;
                for (int64_t i = 0; i < d->n; i++)
                    dot += q[k * d->n + i] * v[i];
                for (int64_t i = 0; i < d->n; i++)
                    v[i] -= dot * q[k * d->n + i];
            }
        for (int64_t i = 0; i < d->n; i++)
            after += v[i] * v[i];
        ret_aliased[j] = !(after > 1e-22 * before); /* R's tolerance 1e-11 on the length */
        if (ret_aliased[j]) {
            (*ret_n)++;
            continue;
        }
        for (int64_t i = 0; i < d->n; i++)
            q[rank * d->n + i] = v[i] / sqrt(after);
        rank++;
    }
    free(q);
    free(v);
    return RAD_OK;
}

rad_status rad_design_groups(const rad_design *d, int64_t **ret_first, int64_t **ret_member, rad_error *err) {
    int64_t *first = rad_new_ints(d->n_group + 2), *member = rad_new_ints(d->n);
    if (!first || !member) {
        free(first);
        free(member);
        return rad_no_memory(err);
    }
    for (int64_t i = 0; i < d->n; i++)
        first[d->group[i] + 2]++;
    for (int64_t g = 0; g < d->n_group; g++)
        first[g + 2] += first[g + 1];
    for (int64_t i = 0; i < d->n; i++)
        member[first[d->group[i] + 1]++] = i;
    *ret_first = first;
    *ret_member = member;
    return RAD_OK;
}
