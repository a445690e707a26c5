#!/usr/bin/env bash
# The default model from clean speech: recipes/default/run.sh SPEECH NOISE WORK_FOLDER
set -eu
speech=$1 noise=$2 work=$3
here=$(cd "$(dirname "$0")" && pwd)
jobs=${JOBS:-2}

sqa-cli data degrade "$speech" --noise "$noise" --out "$work/clips" --train 18000 --dev 800 --test 1200 --seed 1 --jobs "$jobs"
python "$here/inherit.py" "$work/clips/train.jsonl" "$work/clips/dev.jsonl" "$work"

cd "$work/clips"
part() { head -n "$2" "$1.jsonl" >"$1.first$2.jsonl"; } # the first clips of a split, for the costly labels
part train 4500; part train 1500; part dev 120; part test 400; part test 100
label() { sqa-cli data annotate "$1" -m "$2" --out "$3.labelled.jsonl" --relative --fast --jobs "$jobs"; }
dnsmos=dnsmos_ovrl,dnsmos_sig,dnsmos_bak
label train.first4500.jsonl pesq,estoi train
label train.first1500.jsonl $dnsmos train
label dev.first120.jsonl pesq,estoi,$dnsmos dev
label test.first400.jsonl pesq,estoi test
label test.first100.jsonl $dnsmos test
for split in train dev test; do
    label $split.jsonl distill_mos $split
    sqa-cli data annotate $split.jsonl -m mos=distill_mos,pesq,estoi,$dnsmos --out $split.labelled.jsonl --relative --fast --no-compute
done
cd - >/dev/null

train=$work/clips/train.labelled.jsonl dev=$work/clips/dev.labelled.jsonl
sqa-cli train --config "$here/train.toml" --data "$train" --dev "$dev" --set model.init="$work/inherited" --out "$work/run"
python "$here/finish.py" "$work/run" "$dev" "$work/default"
