-- What the study published, and the same of this run; see ../published.sql for the names. A patient has one fracture: lesions are patients.
SELECT 'patients, malignant / benign' AS number, '433, 296 / 137' AS published,
       printf('%d, %d / %d', count(*), sum(label = 'malignant'), sum(label = 'benign')) AS here, 'patient' AS unit FROM patients
UNION ALL SELECT 'slices, malignant', '54.5 % (implied)', printf('%d, %.1f %%', count(*), 100 * avg(label)), 'slice' FROM score_slice
UNION ALL SELECT 'slices per malignant / benign patient', '', printf('%.2f / %.2f', 1.0 * sum(label) / count(DISTINCT iif(label, patient, NULL)),
       1.0 * sum(NOT label) / count(DISTINCT iif(label, NULL, patient))), 'slice' FROM score_slice
UNION ALL SELECT name, iif(unit = 'slice', iif(name = 'accuracy', '85 %', iif(name = 'sensitivity', '0.90', '0.79')),
       iif(name = 'accuracy', '88 %', iif(name = 'sensitivity', '0.95', '0.80'))), share, iif(unit = 'slice', 'slice', 'patient') FROM number
 WHERE name IN ('sensitivity', 'specificity', 'accuracy') AND unit IN ('slice', 'patient') AND point = 'half' AND kind = 'all'
UNION ALL SELECT 'can the published rates of 296 and 137 all be true?', '', (SELECT json_extract(value, '$.text') FROM
       json_each(audit_rates_json('0.95', '0.80', '88 %', 296, 137), '$.findings') WHERE json_extract(value, '$.check') = 'accuracy'), 'patient'
UNION ALL SELECT 'AUC', '', value, iif(unit = 'slice', 'slice', 'patient') FROM number
 WHERE kind = 'all' AND (unit = 'patient' AND name = 'auc' OR unit = 'slice' AND name = 'auc_clustered')
UNION ALL SELECT 'sensitivity / specificity by ' || s.versus || ' of the slices', '', s.share || ' / ' || z.share, 'patient'
  FROM number s JOIN number z USING (unit, kind, point, versus)
 WHERE s.name = 'exploratory_sensitivity' AND z.name = 'exploratory_specificity' AND unit = 'patient' AND kind = 'all' AND point = 'half'
-- the highest of k slices passes 0.5 more easily than one slice does: here it has to be as rare among k benign slices as 0.5 is for one
UNION ALL SELECT 'sensitivity / specificity by max, calibrated for the number of slices', '',
       printf('%.1f %% / %.1f %%', 100 * avg(iif(label, high, NULL)), 100 * avg(iif(label, NULL, NOT high))), 'patient'
  FROM (SELECT label, pow(below, k) >= (SELECT avg(score < 0.5) FROM score_slice WHERE NOT label) AS high
          FROM (SELECT m.label, m.k, avg(b.score < m.top) AS below
                  FROM (SELECT patient, max(label) AS label, max(score) AS top, count(*) AS k FROM score_slice GROUP BY patient) m, score_slice b
                 WHERE NOT b.label GROUP BY m.patient))
UNION ALL SELECT 'accuracy of reader ' || versus, iif(versus = 'year-5', '99 %', iif(versus = 'year-3', '95.2 %', '92.8 %')), share, 'patient' FROM number
 WHERE name = 'reader_accuracy' AND unit = 'lesion' AND kind = 'all'
UNION ALL SELECT 'readers alike (Cochran''s Q)', '', printf('%.1f, %s', est, p_text), 'patient' FROM number
 WHERE name = 'cochran_q_readers' AND unit = 'lesion' AND kind = 'all'
UNION ALL SELECT 'odds of a right call per year of experience', '', value || ', ' || p_text, 'patient' FROM number
 WHERE name = 'experience_odds_ratio' AND unit = 'lesion' AND kind = 'all'
UNION ALL SELECT replace(name, '_', ' ') || ' ' || versus, '', printf('%+.3f, exact %s', est, p_text), 'patient' FROM number
 WHERE name IN ('accuracy_vs_reader', 'accuracy_between_readers') AND unit = 'lesion' AND kind = 'all' AND coalesce(point, 'half') = 'half'
UNION ALL SELECT 'finding ' || substr(f.versus, 9), '', printf('odds ratio %s, %s, Holm %s', o.value, f.p_text, f.p_holm), 'patient'
  FROM number f JOIN number o USING (unit, kind, versus)
 WHERE f.name = 'feature_association' AND o.name = 'feature_odds_ratio' AND unit = 'lesion' AND kind = 'all';
