#!/bin/sh
# mpirun (and, on the other nodes, orted) of the bundle, wherever it was unpacked. The ranks find their own libraries by themselves.
here=${0%/*}
[ "$here" != "$0" ] || here=.
if [ -d "$here/../plugins" ]; then
    mpi=$(cd "$here/.." && pwd) tool=orted
else
    mpi=$(cd "$here/../lib/openmpi" && pwd) tool=orterun
fi || exit 1
export OPAL_PREFIX="$mpi" OPAL_BINDIR="$mpi/bin" OPAL_LIBDIR="$mpi" OPAL_PKGLIBDIR="$mpi/plugins" OPAL_DATADIR="$mpi/share"
export OPAL_PKGDATADIR="$mpi/share" OPAL_SYSCONFDIR="$mpi/etc"
export PMIX_PREFIX="$mpi" PMIX_LIBDIR="$mpi" PMIX_PKGLIBDIR="$mpi/pmix" PMIX_PKGDATADIR="$mpi/share"
export LD_LIBRARY_PATH="$mpi:${mpi%/openmpi}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
# Ranks of one machine need no remote shell; Open MPI asks for one all the same.
if [ -z "${SLURM_JOB_ID:-}${OMPI_MCA_plm_rsh_agent:-}" ] && ! command -v ssh >/dev/null 2>&1 && ! command -v rsh >/dev/null 2>&1; then
    export OMPI_MCA_plm="${OMPI_MCA_plm:-isolated}"
fi
exec "$mpi/libexec/$tool" "$@"
