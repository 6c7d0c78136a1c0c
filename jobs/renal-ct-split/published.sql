-- What the study published, and the same of this run; see ../published.sql for the names.
SELECT 'image sets for training, with 32 variants of each' AS number, '48,832' AS published,
       printf('%,d, of %,d', 32 * (1807 - count(*)), 1807 - count(*)) AS here, 'image set' AS unit FROM score_slice WHERE model = 'by-image' AND cohort = 'internal'
UNION ALL SELECT 'image sets for the test', '281', printf('%d of %d patients', count(*), count(DISTINCT patient)), 'image set'
  FROM score_slice WHERE model = 'by-image' AND cohort = 'internal'
UNION ALL SELECT 'accuracy at 0.5, ' || model || ', ' || iif(stratum = 'internal', 'test part', 'new patients'), '', share, 'image set' FROM number
 WHERE name = 'accuracy' AND unit = 'slice' AND kind = 'cohort'
UNION ALL SELECT 'AUC ' || model || ', ' || iif(stratum = 'internal', 'test part', 'new patients'), '', value, 'image set' FROM number
 WHERE name = 'auc_clustered' AND unit = 'slice' AND kind = 'cohort'
UNION ALL SELECT 'AUC ' || model || ', test part - new patients', '', value || ', ' || p_text, 'image set' FROM number
 WHERE name = 'auc_difference_clustered' AND unit = 'slice' AND kind = 'contrast' AND versus IS NULL
UNION ALL SELECT 'AUC by-image - by-patient, the same image sets, ' || iif(cohort = 'internal', 'test part', 'new patients'), '',
       printf('%.3f (%.3f to %.3f), p = %.3f', json_extract(d, '$.diff'), json_extract(d, '$.lower'), json_extract(d, '$.upper'), json_extract(d, '$.p')), 'image set'
  FROM (SELECT a.cohort, auc_diff_clustered_json(a.label, a.score, b.score, a.patient) AS d FROM score_slice a JOIN score_slice b USING (patient, lesion, slice)
         WHERE a.model = 'by-image' AND b.model = 'by-patient' GROUP BY a.cohort);
