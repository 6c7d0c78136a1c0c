-- The names that the studies' published.sql use: numbers of the newest finished run, written out. Needs the functions of radstats.so.
CREATE TEMP VIEW newest AS SELECT max(run_id) AS run_id FROM run WHERE state = 'finished';
CREATE TEMP VIEW score_case AS SELECT * FROM v_case_score WHERE run_id = (SELECT run_id FROM newest);
CREATE TEMP VIEW score_slice AS SELECT * FROM v_slice_score WHERE run_id = (SELECT run_id FROM newest);
CREATE TEMP VIEW number AS
SELECT name, model, class, unit, stratum_kind AS kind, stratum, point, versus, n, n_pos, n_cluster, est, lower, upper, p, p_adjusted, reason,
       printf('%.3f (%.3f to %.3f)', est, lower, upper) AS value, printf('%.1f %% (%d/%d)', 100 * est, n_pos, n) AS share,
       CASE WHEN p < 0.001 THEN 'p < 0.001' ELSE printf('p = %.3f', p) END AS p_text,
       CASE WHEN p_adjusted < 0.001 THEN '< 0.001' ELSE printf('%.3f', p_adjusted) END AS p_holm
  FROM v_statistic WHERE run_id = (SELECT run_id FROM newest);
CREATE TEMP VIEW patients AS
SELECT p.patient_id, p.patient, p.label, p.center_id FROM patient p
  JOIN run_patient r ON r.patient_id = p.patient_id AND r.run_id = (SELECT run_id FROM newest)
 WHERE p.patient_id NOT IN (SELECT patient_id FROM unselected_patient WHERE run_id = (SELECT run_id FROM newest));
