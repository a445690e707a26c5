#!/usr/bin/env bash
# Build every wheel and install each into an empty environment of its own: it must bring what it needs and no more.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
uv build --quiet --all-packages --wheel --out-dir "$work/dist"

# package, then Python that must run in its environment
check() {
  uv venv --quiet "$work/$1"
  uv pip install --quiet --python "$work/$1" --find-links "$work/dist" --constraint "$work/requirements.txt" "$work"/dist/"${1//-/_}"-*.whl
  "$work/$1/bin/python" -c "$2"
}
# the versions of requirements.lock, without hashes (the wheels just built have none)
sed -E '/^ *--hash/d; s/ *\\$//' requirements.lock > "$work/requirements.txt"
speech=$PWD/examples/speech/clean.flac
cd "$work"
absent='from importlib.util import find_spec; absent = lambda *names: all(find_spec(n) is None for n in names)'
check sqa-metrics "$absent
assert absent('torch', 'scipy', 'pandas', 'sqa_data', 'sqa_model', 'sqa_cli')
import sqa_metrics; print('sqa-metrics: ktau', sqa_metrics.ktau([1, 2, 3], [1, 3, 2]))"
"$work/sqa-metrics/bin/sqa-metrics" --help >/dev/null
printf 'a 1\nb 2\nc 3\n' > ref.scp
"$work/sqa-metrics/bin/sqa-metrics" score --ref ref.scp --pred ref.scp --ci
check sqa-data "$absent
assert absent('torch', 'sqa_metrics', 'sqa_model', 'sqa_cli')
import sqa_data; print('sqa-data:', len(sqa_data.list_corpora()), 'corpora')"
check sqa-model "$absent
assert absent('transformers', 'torchaudio', 'numba', 'sqa_metrics', 'sqa_cli')
import sqa_model; print('sqa-model:', sqa_model.predict('$speech'))"
check sqa-cli "import sqa_cli.main; print('sqa-cli:', len(sqa_cli.main.COMMANDS), 'commands')"
"$work/sqa-cli/bin/sqa-cli" --help >/dev/null
