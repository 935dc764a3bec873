#!/bin/bash
# A conversion as an array of jobs, and a job that publishes it when all of them are done.
# Run it on a login node:
#   CES_SITE=/path/of/this/folder ./convert.sh STORE INPUT... [--stations FILE --event FILE ...]
# Prints the numbers of the two jobs.  SLURM's own variables, such as SBATCH_PARTITION, count.
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
array=$(sbatch --parsable --array="0-$(((n - 1) / each))%${CES_JOBS:-50}" \
    "$CES_SITE/slurm/partitions.sbatch" "$store" "$n" "$each")
# Without --kill-on-invalid-dep it would wait for ever when a part of the array fails.
last=$(sbatch --parsable --dependency="afterok:$array" --kill-on-invalid-dep=yes \
    "$CES_SITE/slurm/finalise.sbatch" "$store")
echo "$array $last"
