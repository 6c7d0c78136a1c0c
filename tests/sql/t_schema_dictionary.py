#!/usr/bin/env python3
"""Every table, view and column is in the data dictionary and nothing else is; tables are STRICT, references are indexed and hold."""
import os, sqlite3, sys

source = os.environ['RAD_SOURCE']
db = sqlite3.connect(':memory:')
for name in ('schema.sql', 'data_dictionary.sql'):
    db.executescript(open(os.path.join(source, 'schemas', name), encoding='utf-8').read())
there = set()
for name, kind in db.execute("SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view')").fetchall():
    there.add((name, ''))
    there |= {(name, row[1]) for row in db.execute(f'PRAGMA table_xinfo({name})')}
    if kind == 'table':
        strict = db.execute('SELECT strict FROM pragma_table_list WHERE name = ?', (name,)).fetchone()[0]
        assert strict, f'table {name} is not STRICT'
    else:
        db.execute(f'SELECT * FROM {name}').fetchall()
told = set(db.execute('SELECT object, column_name FROM data_dictionary'))
missing, surplus = sorted(there - told), sorted(told - there)
assert not missing, f'not described: {missing}'
assert not surplus, f'described, but not there: {surplus}'
assert db.execute('PRAGMA application_id').fetchone()[0] == int.from_bytes(b'RADC', 'big')
columns = [r[1] for r in db.execute('PRAGMA table_info(v_case_score)')]
assert columns == ['run_id', 'model', 'unit', 'center', 'cohort', 'patient', 'lesion', 'class', 'score', 'label', 'fold'], columns


def refused(sql, why):
    try:
        db.execute(sql)
    except sqlite3.IntegrityError:
        return
    sys.exit(f'taken, but {why}: {sql}')


db.execute('PRAGMA foreign_keys = ON')
db.execute("INSERT INTO center (center, cohort) VALUES ('A', 'internal')")
refused("INSERT INTO center (center, cohort) VALUES ('A', 'external')", 'the center exists')
refused("INSERT INTO center (center, cohort) VALUES ('B', 'validation')", 'a cohort is internal or external')
refused("INSERT INTO patient (patient, center_id) VALUES ('P', 99)", 'there is no such center')
refused("INSERT INTO patient (patient, center_id, age) VALUES ('P', 1, 93)", 'ages are capped at 90')
refused("INSERT INTO patient (patient, center_id, age) VALUES ('P', 1, 'old')", 'an age is a number')
refused("INSERT INTO slice_score VALUES (1, 0, 0, 0.5)", 'there is no such slice')
refused("INSERT INTO result (result_key, model_id, n_slice, n_class) VALUES ('short', 1, 1, 2)", 'a key has 64 digits')
print(f'{len(there)} objects and columns described')
