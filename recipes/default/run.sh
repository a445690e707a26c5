#!/usr/bin/env bash
# The default model from clean speech: recipes/default/run.sh SPEECH NOISE WORK_FOLDER
set -eu
speech=$(realpath "$1") noise=$(realpath "$2") work=$(realpath -m "$3")
here=$(cd "$(dirname "$0")" && pwd)
jobs=${JOBS:-2}

sqa-cli data degrade "$speech" --noise "$noise" --out "$work/clips" --train 18000 --dev 800 --test 1200 --seed 1 --jobs "$jobs"
python "$here/inherit.py" "$work/clips/train.jsonl" "$work/clips/dev.jsonl" "$work"

cd "$work/clips"
label() { # SPLIT CLIPS METRICS: label the first clips of a split
    head -n "$2" "$1.jsonl" >"$1.first.jsonl"
    sqa-cli data annotate "$1.first.jsonl" -m "$3" --out "$1.labelled.jsonl" --relative --fast --jobs "$jobs"
}
dnsmos=dnsmos_ovrl,dnsmos_sig,dnsmos_bak
label train 4500 pesq,estoi
label train 1500 $dnsmos
label dev 120 pesq,estoi,$dnsmos
label test 400 pesq,estoi
label test 100 $dnsmos
label train 11000 distill_mos
label dev 800 distill_mos
label test 1200 distill_mos
for split in train dev test; do # all that was found, in one manifest; the teacher's score is `mos`
    sqa-cli data annotate $split.first.jsonl -m mos=distill_mos,pesq,estoi,$dnsmos --out $split.labelled.jsonl --relative --fast --no-compute
done
cd - >/dev/null

train=$work/clips/train.labelled.jsonl dev=$work/clips/dev.labelled.jsonl
sqa-cli train --config "$here/train.toml" --data "$train" --dev "$dev" --set model.init="$work/inherited" --out "$work/run"
python "$here/finish.py" "$work/run" "$dev" "$work/default"
