#!/usr/bin/env bash
# radcohort freeze: one read-only file, the same bytes every time, which proves itself and opens in any SQLite; RO-Crate metadata beside it.
. "$(dirname "$0")/../mpi/lib.sh"
maker=$RAD_BUILD/tests/store_bench
[ -x "$maker" ] || skip "store_bench is not built"
said() { grep -q -- "$1" "$tmp/log" || { cat "$tmp/log" >&2; fail "it does not say '$1'"; }; }
db=$tmp/s.sqlite
"$maker" -k "$db" 40 3 2 >"$tmp/log"
cp "$db" "$tmp/before"
mkdir "$tmp/one" "$tmp/two"
want 2 "$rad" freeze "$db"
want 0 "$rad" freeze "$db" -o "$tmp/one/study.sqlite" --title "A study" --license https://spdx.org/licenses/CC-BY-4.0
want 0 "$rad" freeze "$db" -o "$tmp/two/study.sqlite"
cmp "$tmp/one/study.sqlite" "$tmp/two/study.sqlite" || fail "two freezes of one file differ"
cmp -s "$db" "$tmp/before" || fail "freezing has changed the result file"
[ "$(stat -c %a "$tmp/one/study.sqlite")" = 444 ] || fail "the frozen file can be written"
[ "$(ls "$tmp/one")" = "$(printf 'ro-crate-metadata.json\nstudy.sqlite')" ] || fail "other files: $(ls "$tmp/one")"
want 2 "$rad" freeze "$db" -o "$tmp/one/study.sqlite"
said "is there already"
want 2 "$rad" freeze "$db" -o "$tmp/one/other.sqlite"
said "describes something else"
want 0 "$rad" freeze --check "$tmp/one/study.sqlite" --json
want 2 "$rad" freeze --check "$db"
said "was not frozen"
want 0 "$rad" verify "$tmp/one/study.sqlite" # the seals have come along
"$python" - "$tmp/one" "$db" <<'P'
import hashlib, json, sqlite3, sys
folder, source = sys.argv[1:]
path = folder + '/study.sqlite'
c = json.load(open(folder + '/ro-crate-metadata.json'))
items = {i['@id']: i for i in c['@graph']}
assert c['@context'] == 'https://w3id.org/ro/crate/1.1/context' and len(items) == len(c['@graph'])
root, file = items['./'], items['study.sqlite']
assert items['ro-crate-metadata.json']['about'] == {'@id': './'} and root['name'] == 'A study' and root['hasPart'] == [{'@id': 'study.sqlite'}]
assert root['license'] == {'@id': 'https://spdx.org/licenses/CC-BY-4.0'}
assert file['sha256'] == hashlib.sha256(open(path, 'rb').read()).hexdigest()
def refs(v):
    if isinstance(v, dict):
        if set(v) == {'@id'}:
            yield v['@id']
        for x in v.values():
            yield from refs(x)
    elif isinstance(v, list):
        for x in v:
            yield from refs(x)
assert all(r in items or r.startswith('https://') for i in c['@graph'] for r in refs(i)), 'a reference leads nowhere'
db, old = sqlite3.connect(f'file:{path}?mode=ro', uri=True), sqlite3.connect(source)
run = items['#run-1']
assert {o['@id'] for o in run['object']} == {'#model-' + r[0] for r in db.execute('SELECT sha256 FROM model')}
assert db.execute('PRAGMA integrity_check').fetchone() == ('ok',) and db.execute('PRAGMA journal_mode').fetchone() == ('delete',)
for (name,) in old.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'data_dictionary'").fetchall():
    assert sorted(map(repr, db.execute(f'SELECT * FROM {name}'))) == sorted(map(repr, old.execute(f'SELECT * FROM {name}'))), name
assert items['https://spdx.org/licenses/CC-BY-4.0']['@type'] == 'CreativeWork'
# every table, view and column is described, and none is that is not there; every view runs without the functions of radcohort
told, there = set(db.execute('SELECT object, column_name FROM data_dictionary')), set()
for kind, name in db.execute("SELECT type, name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite%'").fetchall():
    there |= {(name, '')} | {(name, r[1]) for r in db.execute(f'PRAGMA table_xinfo("{name}")')}
    db.execute(f'SELECT * FROM "{name}" LIMIT 2').fetchall()
assert told == there, told ^ there
lists = dict(db.execute('SELECT part, count(*) FROM checklist GROUP BY part').fetchall())
assert set(lists) == {'claim-2024', 'stard-ai', 'tripod-ai'} and min(lists.values()) > 30, lists
known = db.execute("SELECT value, query FROM checklist WHERE query IS NOT NULL").fetchall()
assert len(known) > 30, len(known)
for reverse in ('OFF', 'ON'):  # the value is what its query says, in the frozen file itself, in whatever order tables are read
    db.execute('PRAGMA reverse_unordered_selects = ' + reverse)
    for value, query in known:
        try:
            again = db.execute(query).fetchone()
        except sqlite3.OperationalError as e:
            assert 'no such function' in str(e), (query, e)
            continue
        again = again[0] if again and again[0] is not None else 'for the author'
        assert str(value) == str(again), (reverse, value, again, query)
db.execute('PRAGMA reverse_unordered_selects = OFF')
try:
    sqlite3.connect(path).execute("DELETE FROM run")
    import os
    assert os.geteuid() == 0, 'a frozen file was written to'
except sqlite3.OperationalError:
    pass
# one changed cell, one deleted row, one view that says something else
for i, change in enumerate(("UPDATE slice_score SET score = score * 1.000000000000001 WHERE result_id = 3", "DELETE FROM exclusion WHERE exclusion_id = 1",
                            "DROP VIEW v_run", "UPDATE freeze SET value = replace(value, 'a', 'b') WHERE key = 'content_sha256'")):
    other = f'{folder}/changed{i}.sqlite'
    open(other, 'wb').write(open(path, 'rb').read())
    d = sqlite3.connect(other)
    d.executescript(change)
    d.commit()
P
for i in 0 1 2 3; do
    want 1 "$rad" freeze --check "$tmp/one/changed$i.sqlite"
    said "is NOT what was frozen"
done
chmod u+w "$tmp/two/study.sqlite"
"$python" -c 'import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.execute("PRAGMA user_version = 1"); d.execute("PRAGMA cache_size"); d.execute("CREATE TABLE x (y)"); d.execute("DROP TABLE x"); d.commit()' "$tmp/two/study.sqlite"
want 1 "$rad" freeze --check "$tmp/two/study.sqlite" # the same rows in other bytes
said "NOT the one in ro-crate-metadata.json"
"$python" -c 'import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.execute("UPDATE run SET state = \"stopped\""); d.commit()' "$db"
want 2 "$rad" freeze "$db" -o "$tmp/three.sqlite"
said "no finished run"
[ ! -e "$tmp/three.sqlite" ] && [ ! -e "$tmp/three.sqlite.half" ] || fail "something was left behind"
echo "what is frozen stays as it is, or is found out"
