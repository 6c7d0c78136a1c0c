#!/usr/bin/env python3
"""The cohort of a study that divides its image sets at random, and new patients to tell what that is worth.

    cohort.py RADCOHORT FOLDER [options of radcohort phantom]

Makes the phantom of the renal design four times. The first is the study: its image sets (a slice of a mass in a phase; 1,807 of 168 masses in 159
patients) are put in the order of a hash, 281 of them are the test part, and the other 1,526 are for training, where 32 variants of each make
48,832 images. The others are patients whom nobody has seen. A case of the cohort is a mass in a phase; its column `slices` lists the image sets
to score: the test part of the study, everything of the new patients. `split.tsv` has all image sets with their part; folds are of whole
patients. Python's standard library only.
"""
import collections, csv, hashlib, os, shutil, subprocess, sys

N, TEST, VARIANTS, SEED = 1807, 281, 32, 1
NEW = (2, 3, 4)  # seeds of the phantoms with new patients


def rows(folder, name):
    with open(os.path.join(folder, name + '.tsv'), newline='', encoding='utf-8') as f:
        return list(csv.DictReader(f, delimiter='\t'))


def write(folder, name, columns, rows):
    with open(os.path.join(folder, name + '.tsv'), 'w', newline='', encoding='utf-8') as f:
        w = csv.writer(f, delimiter='\t', lineterminator='\n')
        w.writerow(columns)
        w.writerows(rows)


def image_sets(folder):
    """(patient, mass, phase, slice) with the mass's row and the path of the image; slices as stored: the third axis of these images."""
    images = collections.defaultdict(list)
    for i in rows(folder, 'images'):
        images[i['patient']].append(i)
    out = {}
    for mass in rows(folder, 'lesions'):
        box = [int(v) for v in mass['box'].split()]
        for i in images[mass['patient']]:
            for k in range(box[2], box[5]):
                out[mass['patient'], mass['lesion'], i['sequence'], k] = (mass, i['path'])
    return out


def test_part(sets):
    """A random part, the same on every machine."""
    order = sorted(sets, key=lambda s: hashlib.sha256(f'{SEED} {" ".join(map(str, s))}'.encode()).digest())
    return set(order[:round(len(order) * TEST / N)])


def main():
    program, folder = os.path.abspath(sys.argv[1]), sys.argv[2]
    patients, lesions, images, split = [], [], [], []
    for seed in (1, *NEW):
        center = 'study' if seed == 1 else 'new'
        part = center + (str(seed) if seed > 1 else '')
        one = os.path.join(folder, part)
        subprocess.run([program, 'phantom', '-o', one, '--design', 'renal', '--seed', str(seed), *sys.argv[3:]], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([program, 'folds', one, '--folds', '5', '--seed', '1', '--in-place'], check=True, stderr=subprocess.DEVNULL)
        sets = image_sets(one)
        test = test_part(sets) if part == 'study' else set(sets)
        cases = collections.defaultdict(list)
        for s in sorted(sets):
            if part == 'study':
                split.append([*s, 'test' if s in test else 'training'])
            if s in test:
                cases[s[:3]].append(s)
        def name(patient):  # each phantom's begin anew
            return patient if seed == 1 else f'N{seed}{patient[1:]}'
        there = {c[0] for c in cases}
        patients += [[name(p['patient']), center, p['label'], p['fold'], p['age'], p['sex']] for p in rows(one, 'patients') if p['patient'] in there]
        for (p, mass, phase), listed in cases.items():
            row, path = sets[listed[0]]
            lesions.append([name(p), f'{mass}-{phase}', row['label'], row['box'], ','.join(str(s[3]) for s in listed), row['size_mm'], mass, phase])
            images.append([name(p), '1', 'CT', f'{part}/{path}', f'{mass}-{phase}'])
    write(folder, 'centers', ['center', 'cohort', 'name'], [['study', 'internal', 'the study'], ['new', 'external', 'new patients']])
    write(folder, 'patients', ['patient', 'center', 'label', 'fold', 'age', 'sex'], patients)
    write(folder, 'lesions', ['patient', 'lesion', 'label', 'box', 'slices', 'size_mm', 'tumour', 'phase'], lesions)
    write(folder, 'images', ['patient', 'study', 'sequence', 'path', 'lesion'], images)
    write(folder, 'split', ['patient', 'lesion', 'phase', 'slice', 'part'], split)
    n_test = sum(s[-1] == 'test' for s in split)
    n_train = len(split) - n_test
    print(f'{len(split)} image sets: {n_train} for training, {n_train * VARIANTS} with {VARIANTS} variants of each, and {n_test} for the test')


if __name__ == '__main__':
    main()
