-- What the study published, and the same of this run; see ../published.sql for the names. A patient has one segment: lesions are patients.
SELECT 'patients, malignant / benign' AS number, '190, 50 / 140' AS published,
       printf('%d, %d / %d', count(*), sum(label = 'malignant'), sum(label = 'benign')) AS here, 'patient' AS unit FROM patients
UNION ALL SELECT 'segments per patient', '1', (SELECT printf('%d to %d', min(n), max(n)) FROM (SELECT count(*) AS n FROM lesion GROUP BY patient_id)), 'patient'
UNION ALL SELECT 'folds', '10', (SELECT count(DISTINCT file) || ', each patient scored by one file' FROM score_slice), 'patient'
UNION ALL SELECT 'T1W and T2W matched by position', '', printf('%.1f mm apart at most', max(mismatch_mm)), 'slice' FROM score_slice
UNION ALL SELECT name, iif(name = 'accuracy', '92 %', iif(name = 'sensitivity', '94 %', '91 %')), share, 'patient' FROM number
 WHERE name IN ('accuracy', 'sensitivity', 'specificity') AND unit = 'lesion' AND point = 'half' AND kind = 'all'
UNION ALL SELECT 'accuracy, mean of the folds', '', printf('%.3f (%.3f to %.3f)', est, lower, upper), 'patient' FROM number
 WHERE name = 'accuracy_cv' AND unit = 'lesion' AND point = 'half' AND stratum = 'all'
UNION ALL SELECT 'accuracy of reader ' || versus, iif(versus = 'senior', '98 %', iif(versus = 'year-4', '96 %', '66 %')), share, 'patient' FROM number
 WHERE name = 'reader_accuracy' AND unit = 'lesion' AND kind = 'all'
UNION ALL SELECT replace(d.name, '_vs_reader', ' minus that of ') || d.versus, iif(d.versus = 'year-1', iif(d.name LIKE 'sens%', '94 against 78 %, p < 0.001', '91 against 61 %, p < 0.001'), ''),
       printf('%+.3f, exact %s, mid-p = %.3g; model alone right %d, reader alone %d; no p below %.2g can come out', d.est, d.p_text, m.est, a.est,
              b.est, q.est), 'patient'
  FROM number d JOIN number m USING (model, unit, kind, point, versus) JOIN number q USING (model, unit, kind, point, versus)
  JOIN number a USING (model, unit, kind, point, versus) JOIN number b USING (model, unit, kind, point, versus)
 WHERE d.name IN ('sensitivity_vs_reader', 'specificity_vs_reader') AND m.name = d.name || '_midp' AND q.name = d.name || '_smallest_p'
   AND a.name = d.name || '_n10' AND b.name = d.name || '_n01' AND unit = 'lesion' AND kind = 'all' AND point = 'half'
UNION ALL SELECT 'is the published sensitivity''s p possible?', '', json_extract(audit_pair_json(50, 39, 47, '<0.001'), '$.findings[0].text'), 'patient'
UNION ALL SELECT 'findings of the senior reader with p <= 0.001', '10 of 15', printf('%d of %d; %d after Holm', sum(p <= 0.001), count(*), sum(p_adjusted <= 0.001)),
       'patient' FROM number WHERE name = 'feature_association' AND unit = 'lesion' AND kind = 'all'
UNION ALL SELECT 'finding ' || substr(f.versus, 9), '', printf('odds ratio %s, %s, Holm %s', o.value, f.p_text, f.p_holm), 'patient'
  FROM number f JOIN number o USING (unit, kind, versus)
 WHERE f.name = 'feature_association' AND o.name = 'feature_odds_ratio' AND unit = 'lesion' AND kind = 'all';
