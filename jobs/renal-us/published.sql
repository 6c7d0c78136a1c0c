-- What the study published, and the same of this run at the three units it can be counted in; see ../published.sql for the names.
SELECT 'cases' AS number, '177' AS published, count(*) || ', grades I to IV: ' || sum(label = 'I') || ', ' || sum(label = 'II') || ', ' || sum(label = 'III')
       || ', ' || sum(label = 'IV') AS here, 'case' AS unit FROM patients
UNION ALL SELECT 'pictures', '', (SELECT count(DISTINCT patient || '/' || lesion || '/' || slice) || ', stills and loops: ' || count(DISTINCT patient || '/' || lesion)
       FROM score_slice), 'picture'
UNION ALL SELECT name || ', III and IV', iif(name = 'accuracy', '77.0 %', iif(name = 'sensitivity', '74.8 %', '79.1 %')), share,
       iif(unit = 'slice', 'picture', iif(unit = 'lesion', 'still or loop', 'case')) FROM number
 WHERE name IN ('sensitivity', 'specificity', 'accuracy') AND class = 'high' AND model = 'repvgg-deployed' AND point = 'half' AND kind = 'all'
UNION ALL SELECT 'AUC, III and IV', '0.852', value, iif(unit = 'slice', 'picture', iif(unit = 'lesion', 'still or loop', 'case')) FROM number
 WHERE name = iif(unit = 'patient', 'auc', 'auc_clustered') AND class = 'high' AND model = 'repvgg-deployed' AND kind = 'all'
UNION ALL SELECT 'what can the published rates be about?', '', json_extract(audit_rates_json('74.8 %', '79.1 %', '77.0 %'), '$.findings[0].text'), 'case'
UNION ALL SELECT 'ordinal AUC of the expected grade', '', value, 'case' FROM number
 WHERE name = 'ordinal_c_index' AND unit = 'patient' AND model = 'repvgg-deployed' AND kind = 'all'
UNION ALL SELECT 'largest difference of the scores of both forms of RepVGG', '', printf('%.1e', max(abs(a.score - b.score))), 'picture'
  FROM score_slice a JOIN score_slice b USING (patient, lesion, slice, class) WHERE a.model = 'repvgg' AND b.model = 'repvgg-deployed'
UNION ALL SELECT 'maps: peak in the box, share of energy in the box', '', printf('%d maps: %.0f %%, %.0f %% on average', count(*), 100 * avg(peak_inside),
       100 * avg(energy_inside)), 'still or loop' FROM v_cam WHERE run_id = (SELECT run_id FROM newest) AND deciding;
