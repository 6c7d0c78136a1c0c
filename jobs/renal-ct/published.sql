-- What the study published, and the same of this run. `n` counts units; see ../published.sql for the names.
SELECT 'patients / masses' AS number, '159 / 168' AS published, count(DISTINCT patient_id) || ' / ' || count(*) AS here, 'mass' AS unit FROM lesion
UNION ALL SELECT 'malignant / benign masses', '136 / 32', sum(label = 'malignant') || ' / ' || sum(label = 'benign'), 'mass' FROM lesion
UNION ALL SELECT 'image sets', '1,807',
       printf('%,d', (SELECT sum((k1 - k0) * (SELECT count(*) FROM image i WHERE i.patient_id = l.patient_id)) FROM lesion l)), 'image set'
UNION ALL SELECT 'image sets scored, ' || model, '', printf('%d in %d masses', count(*), count(DISTINCT patient || '/' || lesion)), 'image set'
  FROM score_slice WHERE model IN ('unenhanced', 'corticomedullary', 'nephrographic', 'excretory') GROUP BY model
UNION ALL SELECT 'AUC, ' || model, '', value || ', ' || n || ' masses', 'mass' FROM number WHERE name = 'auc' AND unit = 'lesion' AND kind = 'all'
UNION ALL SELECT 'AUC corticomedullary - excretory', 'p = 0.022', value || ', ' || p_text || ', Holm of 15 pairs ' || p_holm, 'mass' FROM number
 WHERE name = 'auc_paired_difference' AND unit = 'lesion' AND model = 'corticomedullary' AND versus = 'excretory' AND kind = 'all'
UNION ALL SELECT 'the same, patients as clusters', '', value || ', ' || p_text, 'mass' FROM number
 WHERE name = 'auc_paired_difference_clustered' AND unit = 'lesion' AND model = 'corticomedullary' AND versus = 'excretory' AND kind = 'all'
UNION ALL SELECT 'all six AUCs equal', '', '' || p_text, 'mass' FROM number WHERE name = 'auc_equality' AND unit = 'lesion' AND kind = 'all'
UNION ALL SELECT 'accuracy at the best cut-off, ' || model, iif(model = 'corticomedullary', '88 %', ''), share, 'mass' FROM number
 WHERE name = 'accuracy' AND unit = 'lesion' AND point = 'best' AND kind = 'all'
UNION ALL SELECT 'best cut-off, ' || t.model, '',
       printf('%.3f; corrected for optimism: sensitivity %.3f, specificity %.3f', t.est, s.est, z.est), 'mass'
  FROM number t JOIN number s USING (model, unit, point) JOIN number z USING (model, unit, point)
 WHERE t.name = 'threshold' AND s.name = 'sensitivity_corrected' AND z.name = 'specificity_corrected' AND t.unit = 'lesion' AND t.point = 'best'
UNION ALL SELECT 'cut-off for 95 % sensitivity, ' || s.model, '', 'sensitivity ' || s.share || ', specificity ' || z.share, 'mass'
  FROM number s JOIN number z USING (model, unit, point, kind)
 WHERE s.name = 'sensitivity' AND z.name = 'specificity' AND unit = 'lesion' AND point = 'sensitive' AND kind = 'all'
UNION ALL SELECT 'odds ratio, all predictors: ' || versus, '', value || ', ' || p_text, 'mass' FROM number
 WHERE name = 'odds_ratio' AND point = 'networks' AND unit = 'lesion' AND kind = 'all'
UNION ALL SELECT 'events per variable there', '', printf('%.1f', est), 'mass' FROM number
 WHERE name = 'events_per_variable' AND point = 'networks' AND unit = 'lesion' AND kind = 'all'
UNION ALL SELECT 'size of malignant and benign masses', 'no significant difference',
       printf('mean %.1f and %.1f mm, Mann-Whitney p = %.3f', avg(size_mm) FILTER (WHERE label = 'malignant'),
              avg(size_mm) FILTER (WHERE label = 'benign'), mann_whitney_p(size_mm, label)), 'mass' FROM lesion
UNION ALL SELECT 'AUC on a five-point scale, ' || model, '',
       printf('%.3f (%.3f to %.3f)', json_extract(d, '$.auc'), json_extract(d, '$.lower'), json_extract(d, '$.upper')), 'mass'
  FROM (SELECT model, auc_json(label, min(5, 1 + CAST(5 * score AS INTEGER))) AS d FROM score_case WHERE unit = 'lesion' GROUP BY model);
