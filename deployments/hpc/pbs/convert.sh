#!/bin/bash
# A conversion as an array of jobs, and a job that publishes it when all of them are done.
# Run it on a login node:
#   CES_SITE=/path/of/this/folder ./convert.sh STORE INPUT... [--stations FILE --event FILE ...]
# Prints the numbers of the two jobs.
set -eu
: "${CES_SITE:?set it to the folder with site.sh}"
. "$CES_SITE/site.sh"
store=$1
shift
each=${CES_PARTITIONS_PER_JOB:-10}

plan=${CES_PLAN:-$PWD/plan-$$.json}
ces plan "$@" --store "$store" --output "$plan" --quiet >&2
n=$(ces convert-init "$plan" "$store")
if [ "$n" -eq 0 ]; then
    echo "the store holds all of it already" >&2
    exit 0
fi
jobs=$(((n - 1) / each))
given="CES_SITE=$CES_SITE,CES_ENV=$CES_ENV,CES_STORE=$store,CES_N=$n,CES_EACH=$each"
# An array of PBS has two jobs at least.
if [ "$jobs" -eq 0 ]; then
    array=$(qsub -v "$given" "$CES_SITE/pbs/partitions.pbs")
else
    array=$(qsub -J "0-$jobs" -v "$given" "$CES_SITE/pbs/partitions.pbs")
fi
last=$(qsub -W "depend=afterok:$array" -v "$given" "$CES_SITE/pbs/finalise.pbs")
echo "$array $last"
