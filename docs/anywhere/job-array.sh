#!/bin/bash
#SBATCH --job-name=tamiz
#SBATCH --array=1-64
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --output=%x-%A_%a.log
#
# Each task of the array does its share of any tamiz command that reads documents:
#
#   sbatch job-array.sh score --input '/data/mc4/*.json.gz' --lm /data/es.bin --out /data/scores

set -euo pipefail

exec tamiz "$@" --workers "${SLURM_CPUS_PER_TASK:-1}" --share "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
