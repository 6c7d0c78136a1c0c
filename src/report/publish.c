/* publish.c: the rows of a report as tables of an SQLite file: all that a public frozen file has, and the checklists of every frozen one.
 *
 * A public file is made of the public report's rows and of nothing else, so that what is suppressed there is suppressed here, and the two
 * together tell no more than one. */
#include "page.h"

enum { COLUMNS = 64, NAME = 200 };

/* Figures that are drawn per model, unit or cohort share a table: rows of the report's `prefix*` are its parts. */
static const struct {
    const char *prefix, *table, *text;
} GROUP[] = {
    {"readers-table", "readers", "readers beside the model at its operating points"},
    {"readers-", "readers_roc", "points of readers and models in ROC space"},
    {"roc-", "roc", "ROC curves; of a public file only points whose counts are 0 or at least k from the next ones, without thresholds"},
    {"forest-", "forest", "AUC of the whole, of cohorts and of centers, one model and unit per part"},
    {"calibration-", "calibration", "observed shares by bins of the predicted probability"},
    {"decision-", "decision", "decision curves: net benefit by threshold"},
    {"aggregation-", "aggregation", "AUC under other rules of aggregation: exploratory"},
    {"cohorts-", "cohorts", "AUC of every model, internal and external"},
    {"claim-2024", "checklist", "CLAIM 2024, STARD-AI and TRIPOD+AI: what the record knows of each item, the rest is for the author"},
    {"stard-ai", "checklist", NULL},
    {"tripod-ai", "checklist", NULL},
    {"headline", "headline", "the answer: AUC of each model, internal and external"},
    {"flow-diagram", "flow_diagram", "patients, step by step, from the cohort tables to those that all models have scored"},
    {"flow-models", "flow_models", "cases and patients, scored and excluded, by model"},
    {"table-1-data", "table_1", "characteristics of the patients by center"},
    {"confusion-table", "confusion", "true and false calls at each operating point by stratum"},
    {"internal-external-table", "internal_external", "internal cohort against external ones"},
    {"operating-points", "operating_points", "sensitivity, specificity, accuracy and predictive values at each operating point"},
    {"exclusions-table", "exclusions", "what could not be scored, and why"},
    {"provenance-run", "provenance_run", "what ran, on what, when"},
    {"provenance-models", "provenance_models", "the networks, by their hashes"},
    {"drift-table", "drift", "variables of centers that moved since earlier runs"},
};
enum { N_GROUP = sizeof GROUP / sizeof *GROUP };

/* Columns that the result file's own dictionary does not have, or has in another meaning. */
static const char *const COLUMN[][2] = {
    {"part", "figure or table of the report, or the checklist"},
    {"suppressed", "columns of this row that are suppressed, separated by commas; their values are NULL"},
    {"line", "curve: the model, or what else is drawn"},
    {"fpr", "1 - specificity"},
    {"tpr", "sensitivity"},
    {"tp", "positive cases that were called positive"},
    {"fp", "negative cases that were called positive"},
    {"fn", "positive cases that were called negative"},
    {"tn", "negative cases that were called negative"},
    {"bin", "number of the bin, from 0"},
    {"mean_pred", "mean predicted probability of the bin, 0 to 1"},
    {"mean_obs", "observed share of positive cases in the bin, 0 to 1"},
    {"step", "step of the way from the tables to the result"},
    {"item", "number of the item, or the fact"},
    {"about", "the item in our own short words; the published text is the authority"},
    {"value", "what the record says; 'for the author' where it says nothing"},
    {"query", "SQL that gave the value, on the result file"},
    {"variable", "characteristic of patients"},
    {"level", "value of a categorical characteristic"},
    {"group", "center, or a test over all of them"},
    {"count", "patients"},
    {"percent", "share of the group's patients with a known value, in percent"},
    {"n", "cases of the statistic's unit; of flow_diagram and table_1 patients"},
    {"n_pos", "positive ones of them (of accuracy: right ones)"},
    {"rule", "rule of aggregation"},
    {"table_name", "table of this file"},
};

static const char *column_text(const char *name) {
    for (size_t i = 0; i < sizeof COLUMN / sizeof *COLUMN; i++)
        if (strcmp(COLUMN[i][0], name) == 0)
            return COLUMN[i][1];
    return NULL;
}

/* ---------------------------------------------------------------- the file */

static void out_failed(rp_page *p) {
    rp_fail(p, sqlite3_errcode(p->out) == SQLITE_NOMEM ? RAD_E_NOMEM : RAD_E_STORE, "writing the tables of the report: %s",
            sqlite3_errmsg(p->out));
}

/* A statement made by sqlite3_mprintf (freed here). */
static void out_run(rp_page *p, char *sql) {
    if (!sql)
        rp_fail(p, RAD_E_NOMEM, "out of memory for the tables of the report");
    if (p->st == RAD_OK && sqlite3_exec(p->out, sql, NULL, NULL, NULL) != SQLITE_OK)
        out_failed(p);
    sqlite3_free(sql);
}

static bool has_table(rp_page *p, const char *table) {
    return sqlite3_table_column_metadata(p->out, NULL, table, NULL, NULL, NULL, NULL, NULL, NULL) == SQLITE_OK;
}

/* The same columns as the rows have: another part of the figure. */
static bool fits(rp_page *p, const char *table, const rp_rows *r) {
    sqlite3_stmt *q = NULL;
    char *sql = sqlite3_mprintf("SELECT * FROM \"%w\" LIMIT 0", table);
    bool same = sql && sqlite3_prepare_v2(p->out, sql, -1, &q, NULL) == SQLITE_OK &&
                sqlite3_column_count(q) == 1 + r->n_col + (p->o->is_public ? 1 : 0);
    for (int c = 0; same && c < r->n_col; c++)
        same = strcmp(sqlite3_column_name(q, 1 + c), r->name[c]) == 0;
    (void)sqlite3_finalize(q);
    sqlite3_free(sql);
    return same;
}

static void describe(rp_page *p, const char *table, const char *column, const char *text) {
    out_run(p, sqlite3_mprintf("INSERT INTO data_dictionary (object, column_name, description) VALUES (%Q, %Q, %Q) ON CONFLICT DO NOTHING",
                               table, column, text));
}

/* Of statistics as in the result file's dictionary, which this page reads. */
static void describe_column(rp_page *p, const char *table, const char *column) {
    const char *own = column_text(column);
    char *text = own ? NULL
                     : rp_one_text(p, sqlite3_mprintf("SELECT description FROM data_dictionary WHERE column_name = %Q ORDER BY object <> "
                                                      "'v_statistic', object <> 'statistic', object LIMIT 1",
                                                      column));
    describe(p, table, column, own ? own : text ? text : "as in the report; the table source_query has the SQL that made it");
    free(text);
}

static void make_table(rp_page *p, const char *table, const char *text, const rp_rows *r) {
    sqlite3_str *s = sqlite3_str_new(p->out);
    sqlite3_str_appendf(s, "CREATE TABLE \"%w\" (part TEXT NOT NULL", table);
    for (int c = 0; c < r->n_col; c++)
        sqlite3_str_appendf(s, ", \"%w\"", r->name[c]);
    sqlite3_str_appendf(s, "%s)", p->o->is_public ? ", suppressed TEXT NOT NULL" : "");
    out_run(p, sqlite3_str_finish(s));
    if (strcmp(table, "checklist") == 0) {
        char *said = rad_asprintf("%s. %s", text, rp_checklists_checked());
        if (!said)
            rp_fail(p, RAD_E_NOMEM, "out of memory for the tables of the report");
        else
            describe(p, table, "", said);
        free(said);
    } else {
        describe(p, table, "", text);
    }
    describe_column(p, table, "part");
    for (int c = 0; c < r->n_col; c++)
        describe_column(p, table, r->name[c]);
    if (p->o->is_public)
        describe_column(p, table, "suppressed");
}

static int bind_cell(sqlite3_stmt *q, int at, const rp_cell *c) {
    int64_t whole;
    if (c->hidden || !c->text)
        return sqlite3_bind_null(q, at);
    if (isnan(c->num))
        return sqlite3_bind_text(q, at, c->text, -1, SQLITE_STATIC);
    return rad_parse_int(c->text, &whole) ? sqlite3_bind_int64(q, at, whole) : sqlite3_bind_double(q, at, c->num);
}

static void put_rows(rp_page *p, const char *table, const char *part, const rp_rows *r) {
    sqlite3_stmt *q = NULL;
    sqlite3_str *s = sqlite3_str_new(p->out);
    sqlite3_str_appendf(s, "INSERT INTO \"%w\" VALUES (?", table);
    for (int c = 0; c < r->n_col; c++)
        sqlite3_str_appendall(s, ", ?");
    sqlite3_str_appendall(s, p->o->is_public ? ", ?)" : ")");
    char *sql = sqlite3_str_finish(s);
    int rc = sql ? sqlite3_prepare_v2(p->out, sql, -1, &q, NULL) : SQLITE_NOMEM;
    for (int64_t i = 0; rc == SQLITE_OK && i < r->n; i++) {
        char hidden[COLUMNS * 32] = "";
        size_t used = 0;
        rc = sqlite3_bind_text(q, 1, part, -1, SQLITE_STATIC);
        for (int c = 0; rc == SQLITE_OK && c < r->n_col; c++) {
            const rp_cell *cell = &r->cell[i * r->n_col + c];
            rc = bind_cell(q, 2 + c, cell);
            if (cell->hidden && used < sizeof hidden)
                used += (size_t)snprintf(hidden + used, sizeof hidden - used, "%s%s", used ? "," : "", r->name[c]);
        }
        if (rc == SQLITE_OK && p->o->is_public)
            rc = sqlite3_bind_text(q, 2 + r->n_col, hidden, -1, SQLITE_TRANSIENT);
        if (rc == SQLITE_OK && (rc = sqlite3_step(q)) == SQLITE_DONE)
            rc = sqlite3_reset(q);
    }
    if (rc != SQLITE_OK)
        out_failed(p);
    (void)sqlite3_finalize(q);
    sqlite3_free(sql);
}

void rp_publish(rp_page *p, const char *name, const rp_rows *r) {
    char table[NAME];
    const char *text = "as in the report";
    if (p->st != RAD_OK || r->n_col == 0)
        return;
    (void)snprintf(table, sizeof table, "%.150s", name);
    for (int g = 0; g < N_GROUP; g++)
        if (strncmp(name, GROUP[g].prefix, strlen(GROUP[g].prefix)) == 0) {
            (void)snprintf(table, sizeof table, "%s", GROUP[g].table);
            text = GROUP[g].text ? GROUP[g].text : text;
            break;
        }
    for (char *c = table; *c; c++)
        *c = *c == '-' ? '_' : *c;
    if (has_table(p, table) && !fits(p, table, r)) { /* a figure of that family with columns of its own */
        (void)snprintf(table, sizeof table, "%.150s", name);
        for (char *c = table; *c; c++)
            *c = *c == '-' ? '_' : *c;
    }
    if (!has_table(p, table))
        make_table(p, table, text, r);
    put_rows(p, table, name, r);
    if (p->o->is_public)
        out_run(p, sqlite3_mprintf("INSERT INTO source_query (table_name, part, query) VALUES (%Q, %Q, %Q)", table, name, r->sql));
}

/* ---------------------------------------------------------------- the two uses */

static const char SQL_PUBLIC[] = "CREATE TABLE data_dictionary (object TEXT NOT NULL, column_name TEXT NOT NULL, description TEXT NOT NULL,"
                                 " PRIMARY KEY (object, column_name)) WITHOUT ROWID;"
                                 "CREATE TABLE disclosure (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
                                 "CREATE TABLE source_query (table_name TEXT NOT NULL, part TEXT NOT NULL, query TEXT);"
                                 "INSERT INTO data_dictionary VALUES"
                                 " ('data_dictionary', '', 'what the tables and columns of this file mean'),"
                                 " ('data_dictionary', 'object', 'name of a table'),"
                                 " ('data_dictionary', 'column_name', 'name of a column; empty: the table itself'),"
                                 " ('data_dictionary', 'description', 'what it means, with its unit'),"
                                 " ('disclosure', '', 'what was done so that no patient can be told from this file'),"
                                 " ('disclosure', 'key', 'name of the rule or number'),"
                                 " ('disclosure', 'value', 'the rule or number'),"
                                 " ('source_query', '', 'the SQL that made each part, on the result file that this file was made of'),"
                                 " ('source_query', 'table_name', 'table of this file'),"
                                 " ('source_query', 'part', 'part of the table'),"
                                 " ('source_query', 'query', 'the SQL; its functions are those of the extension radstats')";

void rp_publish_open(rp_page *p, const char *to) {
    if (p->st != RAD_OK)
        return;
    if (sqlite3_open_v2(to, &p->out, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
        rp_fail(p, RAD_E_STORE, "cannot open '%s': %s", to, p->out ? sqlite3_errmsg(p->out) : "no memory");
        return;
    }
    out_run(p, sqlite3_mprintf("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF"));
    if (p->o->is_public)
        out_run(p, sqlite3_mprintf("PRAGMA encoding = 'UTF-8'; %s", SQL_PUBLIC));
}

void rp_publish_close(rp_page *p) {
    if (p->o->is_public && p->st == RAD_OK) {
        out_run(p, sqlite3_mprintf(
                       "INSERT INTO disclosure VALUES ('k', '%d'), ('suppressed_counts', '%lld'), ('run', '%lld'), ('job', %Q),"
                       " ('rule', 'counts from 1 to k - 1 are suppressed, with every count and number that would give them away through a "
                       "sum; a suppressed value is NULL and its column is named in the column suppressed of its row'),"
                       " ('curves', 'ROC curves have only points whose counts are 0 or at least k from their neighbours, and no "
                       "thresholds; bins of calibration hold at least k cases'),"
                       " ('absent', 'patients, lesions, images, readings, scores, maps, warnings, single exclusions, decision curves, "
                       "names of hosts, paths and commands, and every other run: two runs over nearly the same patients would tell the "
                       "difference')",
                       p->o->k, (long long)rp_ledger_hidden(p), (long long)p->run, p->job));
        out_run(p, sqlite3_mprintf("VACUUM"));
    }
    (void)sqlite3_close(p->out);
    p->out = NULL;
}
