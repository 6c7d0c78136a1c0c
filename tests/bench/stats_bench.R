# The same with pROC: Rscript stats_bench.R FILE (written by stats_bench FILE).
library(pROC)
d <- read.delim(commandArgs(TRUE)[1], header = FALSE)
time <- function(what, n, e) cat(sprintf("%-58s %11d %9.3f\n", what, n, system.time(e)[["elapsed"]]))
curve <- function(y, x) roc(y, x, levels = 0:1, direction = "<", quiet = TRUE)
time("pROC: paired DeLong, 6 models, 15 pairs", nrow(d), {
    r <- lapply(2:7, function(c) curve(d[[1]], d[[c]]))
    for (i in 1:5) for (j in (i + 1):6) roc.test(r[[i]], r[[j]], paired = TRUE, method = "delong")
})
for (n in c(1e5, 1e6)) {
    set.seed(1)
    y <- rbinom(n, 1, 0.25)
    x <- runif(n) + 0.2 * y
    time("pROC: AUC with DeLong interval", as.integer(n), ci.auc(curve(y, x), method = "delong"))
}
