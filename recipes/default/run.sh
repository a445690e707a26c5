#!/usr/bin/env bash
# The default model from clean speech and noise:
#   recipes/default/run.sh WORK_FOLDER --speech FOLDER --noise FOLDER [--speech ... --noise ... --models FOLDER]
# RECORDINGS="a.wav b.flac": real recordings that `mos_std` is fitted on, too.
# TEACHER=nisqa_mos=.5: a label of `sqa-cli data annotate` that counts beside Distill-MOS, with its share.
set -eu
work=$(realpath -m "$1")
shift
here=$(cd "$(dirname "$0")" && pwd)
jobs=${JOBS:-2}

python "$here/clips.py" "$work/clips" --jobs "$jobs" "$@"
for share in $(seq "$jobs"); do
    python "$here/ask.py" "$work/clips" "$work/states" "$share/$jobs" &
done
for job in $(jobs -p); do wait "$job"; done
blend=()
if [ -n "${TEACHER:-}" ]; then
    for manifest in "$work"/clips/*/{train,dev}.jsonl; do
        [ -s "$manifest" ] || continue
        # a clip without a label counts by Distill-MOS alone
        sqa-cli data annotate "$manifest" -m "${TEACHER%%=*}" -j "$jobs" || test -s "${manifest%.jsonl}.labelled.jsonl"
    done
    blend=(--clips "$work/clips" --teacher "$TEACHER")
fi
python "$here/learn.py" "$work/states" "$work/run" "${blend[@]}"
# shellcheck disable=SC2086  # one name a word
python "$here/finish.py" "$work/states" "$work/run" "$work/default" ${RECORDINGS:-} "${blend[@]}"
