#!/bin/bash
# The extension in R's RSQLite, and R's own answer beside it.
set -eu
command -v Rscript > /dev/null || { echo "SKIP: no Rscript"; exit 77; }
Rscript -e 'quit(status = !requireNamespace("RSQLite", quietly = TRUE))' > /dev/null 2>&1 || { echo "SKIP: no RSQLite (Debian: r-cran-rsqlite)"; exit 77; }
[ -z "${RAD_SANITIZE:-}" ] || { echo "SKIP: an instrumented extension does not load into a plain R"; exit 77; }
Rscript - "$RAD_BUILD/radstats.so" <<'R'
library(DBI)
db <- dbConnect(RSQLite::SQLite(), ":memory:", loadable.extensions = TRUE)
dbExecute(db, sprintf("SELECT load_extension('%s')", commandArgs(TRUE)[1]))
set.seed(4)
n <- 400
d <- data.frame(center = rep(c("A", "B"), n / 2), label = rbinom(n, 1, 0.4))
d$score <- round(rnorm(n, d$label), 1)
dbWriteTable(db, "v_case_score", d)
got <- dbGetQuery(db, "SELECT center, auc(label, score) a, auc_lower(label, score) l, auc_upper(label, score) u FROM v_case_score GROUP BY center")
for (i in 1:2) {
    x <- d[d$center == got$center[i], ]
    w <- wilcox.test(x$score[x$label == 1], x$score[x$label == 0], exact = FALSE)$statistic / sum(x$label == 1) / sum(x$label == 0)
    stopifnot(abs(got$a[i] - w) < 1e-12, got$l[i] < got$a[i], got$a[i] < got$u[i])
}
g <- coef(summary(glm(label ~ score + center, binomial, d, control = glm.control(epsilon = 1e-14))))
m <- dbGetQuery(db, "SELECT estimate, se FROM logistic('SELECT label, score, center FROM v_case_score')")
stopifnot(max(abs(m$estimate - g[, 1])) < 1e-8, max(abs(m$se - g[, 2])) < 1e-8)
if (requireNamespace("pROC", quietly = TRUE)) {
    x <- d[d$center == "A", ]
    ci <- suppressMessages(pROC::ci.auc(pROC::roc(x$label, x$score, direction = "<", levels = 0:1)))
    stopifnot(abs(ci[1] - got$l[1]) < 1e-12, abs(ci[3] - got$u[1]) < 1e-12)
    cat("pROC", as.character(packageVersion("pROC")), "agrees\n")
}
cat("ok\n")
R
