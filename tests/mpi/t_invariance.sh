#!/usr/bin/env bash
# Promise 1: the same bytes for any number of ranks, batch limit and number of threads. Promise 3: every case scored or excluded.
. "$(dirname "$0")/lib.sh"
need_mpirun
"$python" "$here/fixture.py" "$tmp/job" 14
for backend in ref onednn; do
    if [ "$backend" != ref ] && ! "$rad" backends 2>/dev/null | grep -q "^$backend  *usable"; then
        echo "note: $backend is not usable here"
        continue
    fi
    first=
    for setting in "0 4 1" "1 4 1" "2 1 2" "3 16 1" "8 4 1" "3 1 1" "0 16 2" "2 16 1"; do
        read -r ranks batch threads <<<"$setting"
        db=$tmp/$backend-$ranks-$batch-$threads.sqlite
        want 3 mpi "$ranks" "$rad" run "$tmp/job/job.yaml" --db "$db" --backend "$backend" --batch "$batch" --threads "$threads" --quiet
        dump "$db" >"$db.txt"
        if [ -z "$first" ]; then
            first=$db.txt
            grep -c . "$first"
        fi
        same "$first" "$db.txt" "$backend: $ranks ranks, batch $batch, $threads threads differ from the first run"
        # the chain of seals, which is over more than the scores
        "$rad" verify "$db" | grep '^head' >"$db.head" || fail "$backend: $ranks ranks: the file is not as it was stored"
        same "${first%.txt}.head" "$db.head" "$backend: $ranks ranks, batch $batch, $threads threads end in another head"
        [ ! -e "$db-journal" ] || fail "a journal is left behind"
    done
done
# what was excluded, and why: patients 2 to 5
for line in "truncated" "channel" "notfound" "nonfinite"; do
    grep -q "$line" "$first" || { cat "$first"; fail "no exclusion with the reason $line"; }
done
# a finished run is not run again
want 3 "$rad" run "$tmp/job/job.yaml" --db "$db" --backend "$backend" --batch 16 --threads 1 --quiet
grep -q "nothing was computed" "$tmp/log" || fail "a finished run was run again"
