#!/usr/bin/env bash
# The default model from clean speech: recipes/default/run.sh SPEECH NOISE WORK_FOLDER
set -eu
speech=$1 noise=$2 work=$3
here=$(cd "$(dirname "$0")" && pwd)
jobs=${JOBS:-2}

sqa-cli data degrade "$speech" --noise "$noise" --out "$work/clips" --train 8000 --dev 800 --test 1200 --seed 1 --jobs "$jobs"

cd "$work/clips"
part() { head -n "$2" "$1.jsonl" >"$1.first$2.jsonl"; } # the first clips of a split, for the costly labels
part train 2500; part train 400; part dev 120; part test 400; part test 150
label() { sqa-cli data annotate "$1" -m "$2" --out "$3.labelled.jsonl" --relative --fast --jobs "$jobs"; }
label train.first2500.jsonl pesq,estoi train
label train.first400.jsonl dnsmos_ovrl,dnsmos_sig,dnsmos_bak train
label dev.first120.jsonl pesq,estoi,dnsmos_ovrl,dnsmos_sig,dnsmos_bak dev
label test.first400.jsonl pesq,estoi test
label test.first150.jsonl dnsmos_ovrl,dnsmos_sig,dnsmos_bak test
every=mos=distill_mos,pesq,estoi,dnsmos_ovrl,dnsmos_sig,dnsmos_bak
for split in train dev test; do
    sqa-cli data annotate $split.jsonl -m distill_mos --out $split.labelled.jsonl --relative --fast --jobs "$jobs"
    sqa-cli data annotate $split.jsonl -m $every --out $split.labelled.jsonl --relative --fast --no-compute
done
cd - >/dev/null

data=(--data "$work/clips/train.labelled.jsonl" --dev "$work/clips/dev.labelled.jsonl")
sqa-cli train --config "$here/train.toml" "${data[@]}" --out "$work/mos"
sqa-cli train --config "$here/heads.toml" "${data[@]}" --set model.init="$work/mos/best" --out "$work/heads"
python "$here/finish.py" "$work/heads" "$work/clips/dev.labelled.jsonl" "$work/default"
