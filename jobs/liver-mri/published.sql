-- What the study published, and the same of this run; see ../published.sql for the names. A patient has one lesion.
SELECT 'patients / centers / classes' AS number, '1,959 / 3 / 3' AS published,
       printf('%,d / %d / %d', count(*), count(DISTINCT center_id), count(DISTINCT label)) AS here, 'patient' AS unit FROM patient
UNION ALL SELECT 'images', '50,418', printf('%,d', sum(k)), 'image'
  FROM (SELECT (k1 - k0) * (SELECT count(*) FROM image i WHERE i.patient_id = l.patient_id) AS k FROM lesion l)
UNION ALL SELECT 'images of the ' || iif(c.cohort = 'internal', 'internal', 'external') || ' set, ' || c.center,
       iif(c.center = 'first', '5,172', iif(c.center = 'second', '2,916', '1,338')),
       printf('%,d of %d patients', sum((k1 - k0) * (SELECT count(*) FROM image i WHERE i.patient_id = l.patient_id)), count(*)), 'image'
  FROM patients p JOIN lesion l USING (patient_id) JOIN center c USING (center_id) GROUP BY c.center
UNION ALL SELECT 'AUC of T2 + DWI, ' || class || ', ' || stratum, iif(class = 'malignant', iif(stratum = 'first', '0.91 (0.888 to 0.932)',
       iif(stratum = 'second', '0.873 (0.848 to 0.899)', '0.876 (0.840 to 0.911)')), ''), value, 'patient' FROM number
 WHERE name = 'auc' AND unit = 'patient' AND kind = 'center' AND model = 't2-dwi' AND class <> 'malignant-argmax'
UNION ALL SELECT 'how many independent units has 0.91 (0.888 to 0.932)?', '', (SELECT json_extract(value, '$.text') FROM
       json_each(audit_auc_json(0.91, 0.888, 0.932, 5172, 0.333), '$.findings') WHERE json_extract(value, '$.check') = 'implied_units'), 'image'
UNION ALL SELECT s.name || ' for malignancy, T2 + DWI, ' || s.stratum, iif(s.name = 'specificity', '> 70 %', iif(s.stratum = 'first', '98.1 %',
       iif(s.stratum = 'second', '89.7 %', '87.5 %'))), s.share, 'patient' FROM number s
 WHERE s.name IN ('sensitivity', 'specificity') AND unit = 'patient' AND kind = 'center' AND model = 't2-dwi' AND class = 'malignant' AND point = 'sensitive'
UNION ALL SELECT 'the same by the most probable class, ' || s.name || ', ' || s.stratum, '', s.share, 'patient' FROM number s
 WHERE s.name IN ('sensitivity', 'specificity') AND unit = 'patient' AND kind = 'center' AND model = 't2-dwi' AND class = 'malignant-argmax' AND point = 'half'
UNION ALL SELECT 'that threshold', '', printf('%.4f, from the cohort %s', t.threshold, o.tuned_on), 'patient'
  FROM tuned_threshold t JOIN operating_point o USING (run_id, point) JOIN run_model m USING (run_model_id) JOIN run_class k ON k.run_id = t.run_id
   AND k.class_index = t.class_index
 WHERE t.run_id = (SELECT run_id FROM newest) AND point = 'sensitive' AND unit = 'patient' AND m.model = 't2-dwi' AND k.class = 'malignant'
UNION ALL SELECT 'AUC internal - external, ' || model || ', ' || class, '', value || ', ' || p_text, 'patient' FROM number
 WHERE name = 'auc_difference' AND unit = 'patient' AND kind = 'contrast' AND versus IS NULL AND class IN ('benign', 'primary', 'metastatic')
UNION ALL SELECT 'centers apart, T2 + DWI, ' || class, '', printf('I2 = %.0f %%, prediction interval for a further center %s', i.est, q.value), 'patient'
  FROM number i JOIN number q USING (model, class, unit, kind)
 WHERE i.name = 'auc_centers_i2' AND q.name = 'auc_centers_prediction' AND model = 't2-dwi' AND unit = 'patient' AND class = 'malignant'
UNION ALL SELECT replace(name, '_', ' ') || ', T2 + DWI, ' || stratum, '', printf('%.2f (%.2f to %.2f)', est, lower, upper), 'patient' FROM number
 WHERE name = 'calibration_slope' AND unit = 'patient' AND kind = 'center' AND model = 't2-dwi' AND class = 'malignant'
UNION ALL SELECT replace(name, '_', ' ') || ', ' || model, '', iif(lower IS NULL, printf('%.3f', est), value), 'patient' FROM number
 WHERE name IN ('auc_macro', 'auc_hand_till') AND unit = 'patient' AND kind = 'all'
UNION ALL SELECT * FROM (SELECT 'of ' || label || ', called ' || called || ', T2 + DWI', '',
       printf('%.1f %% (%d/%d), %.1f to %.1f %%', 100.0 * n / total, n, total, 100 * json_extract(d, '$.wilson_lower'), 100 * json_extract(d, '$.wilson_upper')), 'patient'
  FROM (SELECT *, proportion_json(n, total) AS d FROM (SELECT label, called, count(*) AS n, sum(count(*)) OVER (PARTITION BY label) AS total
          FROM (SELECT patient, class AS called, max(score) FROM score_case WHERE unit = 'patient' AND model = 't2-dwi'
                   AND class IN ('benign', 'primary', 'metastatic') GROUP BY patient) JOIN patients USING (patient) GROUP BY label, called)))
UNION ALL SELECT replace(replace(name, 'reader_', ''), '_', ' ') || ' of reader ' || versus, '', share, 'patient' FROM number
 WHERE name IN ('reader_sensitivity', 'reader_specificity') AND unit = 'patient' AND kind = 'all' AND model = 't2-dwi' AND class = 'malignant'
UNION ALL SELECT replace(name, '_', ' ') || ' ' || versus || ', T2 + DWI', '', printf('%+.3f, exact %s', est, p_text), 'patient' FROM number
 WHERE name IN ('sensitivity_vs_reader', 'specificity_vs_reader') AND unit = 'patient' AND kind = 'all' AND model = 't2-dwi' AND class = 'malignant' AND point = 'half'
UNION ALL SELECT 'kappa with reader ' || versus || ', T2 + DWI', '', value, 'patient' FROM number
 WHERE name = 'kappa_vs_reader' AND unit = 'patient' AND kind = 'all' AND model = 't2-dwi' AND class IS NULL
UNION ALL SELECT 'kappa with reader ' || versus || ' at 0.5, malignant, T2 + DWI', '', value, 'patient' FROM number
 WHERE name = 'kappa_vs_reader' AND unit = 'patient' AND kind = 'all' AND model = 't2-dwi' AND class = 'malignant' AND point = 'half';
